/** One firing of a schedule. */
export interface ScheduledRun {
  id: string;
  process: string;
  /** Set once it has an instance. */
  instance: string | undefined;
  trigger: "schedule" | "missed" | "manual";
  /** ISO 8601. */
  startedAt: string;
  endedAt: string | undefined;
  outcome: "queued" | "running" | "succeeded" | "failed" | "timed-out" | "skipped";
  exitCode: number | undefined;
}

/** What a schedule does and will do. */
export interface ScheduleStatus {
  process: string;
  cron: string;
  timezone: string;
  overlap: "skip" | "queue" | "parallel";
  state: "idle" | "running" | "paused";
  /** ISO 8601; `null` while it is paused. */
  nextRunAt: string | null;
  lastRun: ScheduledRun | null;
}
