/** How urgent a task is: `urgent` runs as priority 1, `normal` as 5, `batch` as 10. */
export type TaskPriority = "urgent" | "normal" | "batch";

/** BullMQ's numbers of the three classes. */
export const PRIORITIES: Record<TaskPriority, number> = { urgent: 1, normal: 5, batch: 10 };

/** What is stored as a job's data. */
export interface TaskEnvelope {
  tenantId: string;
  agentRole: string;
  data: unknown;
  /** W3C trace context of whoever added the task. */
  traceparent?: string | undefined;
  /** Names that every log line of the task carries. */
  labels?: Record<string, string> | undefined;
  /** How often it was run again out of the dead letters. */
  redrives?: number | undefined;
}

/** True for what {@link TaskEnvelope} describes; anything else came from outside. */
export function isTaskEnvelope(value: unknown): value is TaskEnvelope {
  return (
    typeof value === "object" &&
    value !== null &&
    "tenantId" in value &&
    typeof value.tenantId === "string" &&
    "data" in value
  );
}

/** What a dead letter carries when it is run again. */
export function redriven(envelope: TaskEnvelope): TaskEnvelope {
  return { ...envelope, redrives: (envelope.redrives ?? 0) + 1 };
}
