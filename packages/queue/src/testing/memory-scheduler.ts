import {
  type CloserStack,
  defaultLogger,
  type Health,
  Lifecycle,
  LifecycleComponent,
  type Logger,
} from "@millrace/core";
import { assertSchedule, type ScheduleTime } from "../check-schedule.ts";
import { queueError } from "../errors.ts";
import type { NewTask } from "../new-task.ts";
import { addScheduled } from "../scheduled-task.ts";
import type { Scheduler } from "../scheduler.ts";
import type { MemoryQueue } from "./memory-queue.ts";
import type { ScheduleTable, Ticker } from "./schedule-table.ts";
import { storedCopy } from "./stored-copy.ts";

/** A scheduler of a backend in memory. */
export class MemoryScheduler extends LifecycleComponent implements Scheduler<unknown> {
  readonly name: string;
  readonly #queue: MemoryQueue<unknown, unknown>;
  readonly #logger: Logger;
  protected readonly lifecycle: Lifecycle;

  constructor(queue: MemoryQueue<unknown, unknown>, logger: Logger | undefined) {
    super();
    this.name = `scheduler:${queue.role}`;
    this.#queue = queue;
    this.#logger = logger ?? defaultLogger();
    this.lifecycle = new Lifecycle({ name: this.name, open: (closers) => this.#open(closers) });
  }

  health(): Health {
    return this.#queue.health();
  }

  async upsert(
    scheduleId: string,
    time: ScheduleTime,
    task: Omit<NewTask<unknown>, "jobId">,
  ): Promise<void> {
    assertSchedule(scheduleId, time, task);
    const kept = storedCopy(task) as Omit<NewTask<unknown>, "jobId">;
    this.#running().upsert(scheduleId, time, kept);
  }

  async remove(scheduleId: string): Promise<boolean> {
    return this.#running().remove(scheduleId);
  }

  async list(): Promise<Array<{ scheduleId: string; nextAt: number | undefined }>> {
    return this.#running().list();
  }

  #open(closers: CloserStack): void {
    const { tickers } = this.#queue.kept.schedules;
    const ticker: Ticker = (scheduleId, dueAt, task) =>
      void addScheduled(this.#queue, { scheduleId, dueAt, task }, this.#logger).catch(() => {
        // It is logged, and nothing here is better a moment later.
      });
    tickers.add(ticker);
    closers.push(() => tickers.delete(ticker));
  }

  #running(): ScheduleTable {
    if (this.state === "running") return this.#queue.kept.schedules;
    throw queueError(
      "QUEUE_CLOSED",
      `${this.name} is ${this.state}: use it between start() and close()`,
    );
  }
}
