import { defaultRepeatStrategy } from "bullmq";
import type { NewTask } from "../new-task.ts";
import type { ScheduleTime } from "../check-schedule.ts";
import type { ManualClock } from "./fake-clock.ts";

type ScheduledTask = Omit<NewTask<unknown>, "jobId">;

/** Adds the task of a tick. */
export type Ticker = (scheduleId: string, dueAt: number, task: ScheduledTask) => void;

interface Schedule {
  task: ScheduledTask;
  nextAt: number | undefined;
  cancel: () => void;
}

/** The schedules of a queue, whichever of its schedulers ticks for them. */
export class ScheduleTable {
  /** Schedulers that run; the first one ticks. */
  readonly tickers = new Set<Ticker>();
  readonly #clock: ManualClock;
  readonly #schedules = new Map<string, Schedule>();

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  upsert(scheduleId: string, time: ScheduleTime, task: ScheduledTask): void {
    // An interval begins with a tick, as in BullMQ.
    const now = this.#clock.now();
    const first = "everyMs" in time ? now : nextTick(time, now);
    this.remove(scheduleId);
    const schedule: Schedule = { task, nextAt: undefined, cancel: () => {} };
    this.#schedules.set(scheduleId, schedule);
    this.#await(scheduleId, schedule, time, first);
  }

  remove(scheduleId: string): boolean {
    this.#schedules.get(scheduleId)?.cancel();
    return this.#schedules.delete(scheduleId);
  }

  list(): Array<{ scheduleId: string; nextAt: number | undefined }> {
    return [...this.#schedules].map(([scheduleId, { nextAt }]) => ({ scheduleId, nextAt }));
  }

  clear(): void {
    for (const scheduleId of this.#schedules.keys()) this.remove(scheduleId);
  }

  #await(id: string, schedule: Schedule, time: ScheduleTime, at: number | undefined): void {
    schedule.nextAt = at;
    if (at === undefined) return;
    schedule.cancel = this.#clock.at(at, () => {
      const [tick] = this.tickers;
      tick?.(id, at, schedule.task);
      this.#await(id, schedule, time, nextTick(time, at));
    });
  }
}

/** @throws Error for a pattern that is none. */
function nextTick(time: ScheduleTime, after: number): number | undefined {
  if ("everyMs" in time) return after + time.everyMs;
  return defaultRepeatStrategy(after, { pattern: time.cron, tz: time.timezone ?? "UTC" });
}
