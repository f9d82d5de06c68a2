import {
  type CloserStack,
  type Component,
  defaultLogger,
  type Health,
  Lifecycle,
  LifecycleComponent,
  type Logger,
  parseOptions,
} from "@millrace/core";
import { type Job, Queue as BullmqQueue, Worker } from "bullmq";
import * as z from "zod";
import { assertSchedule, type ScheduleTime } from "./check-schedule.ts";
import { closeWorker } from "./close-worker.ts";
import { queueError } from "./errors.ts";
import type { NewTask } from "./new-task.ts";
import type { Queue } from "./queue.ts";
import { addScheduled } from "./scheduled-task.ts";

/** Options of {@link createScheduler}. */
export interface SchedulerOptions<Input> {
  /** Where the tasks go; must be running. */
  queue: Queue<Input>;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
}

export const schedulerOptionsSchema = z.strictObject({
  queue: z.custom<Queue>(
    (value) => typeof value === "object" && value !== null && "addBulk" in value,
    "expected what createQueue gives",
  ),
  logger: z.custom<Logger>().optional(),
});

/** Adds tasks by the clock. */
export interface Scheduler<Input> extends Component {
  /**
   * Creates or changes a schedule; kept in Redis until removed.
   *
   * @throws {@link MillraceError} `CONFIG_INVALID` for a bad id, time or task.
   */
  upsert(
    scheduleId: string,
    time: ScheduleTime,
    task: Omit<NewTask<Input>, "jobId">,
  ): Promise<void>;
  /** @returns whether there was one. */
  remove(scheduleId: string): Promise<boolean>;
  list(): Promise<Array<{ scheduleId: string; nextAt: number | undefined }>>;
}

/**
 * Creates a scheduler. Any number of processes may run one for the same queue: each tick adds one task,
 * whose id is made of the schedule and the tick. Ticks go through the gate, quotas included; a refused
 * one is logged, and one that Redis kept from being added is tried again.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options. `start` throws `QUEUE_CLOSED` when the
 * queue is not running.
 */
export function createScheduler<Input>(options: SchedulerOptions<Input>): Scheduler<Input> {
  parseOptions(schedulerOptionsSchema, options, "createScheduler");
  return new BullmqScheduler(options);
}

class BullmqScheduler<Input> extends LifecycleComponent implements Scheduler<Input> {
  readonly name: string;
  readonly #queue: Queue<Input>;
  readonly #logger: Logger;
  protected readonly lifecycle: Lifecycle;
  #control: BullmqQueue | undefined;

  constructor({ queue, logger }: SchedulerOptions<Input>) {
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
    task: Omit<NewTask<Input>, "jobId">,
  ): Promise<void> {
    assertSchedule(scheduleId, time, task);
    const repeat =
      "everyMs" in time
        ? { every: time.everyMs }
        : { pattern: time.cron, tz: time.timezone ?? "UTC" };
    await this.#running().upsertJobScheduler(scheduleId, repeat, {
      name: scheduleId,
      data: task,
      opts: { removeOnComplete: 10, removeOnFail: 100, attempts: 5, backoff: 1_000 },
    });
  }

  remove(scheduleId: string): Promise<boolean> {
    return this.#running().removeJobScheduler(scheduleId);
  }

  async list(): Promise<Array<{ scheduleId: string; nextAt: number | undefined }>> {
    const schedulers = await this.#running().getJobSchedulers();
    return schedulers.map(({ key, next }) => ({ scheduleId: key, nextAt: next }));
  }

  async #open(closers: CloserStack): Promise<void> {
    const { keys, client } = this.#queue;
    // A queue of its own: a tick is not a task of a tenant and must not wait behind the gate.
    const name = `${keys.queueName}__schedules`;
    const common = { connection: client, prefix: keys.bullmqPrefix, skipVersionCheck: true };
    const control = new BullmqQueue(name, common);
    closers.push(() => control.close());
    const worker = new Worker(name, (job) => this.#tick(job), { ...common, concurrency: 10 });
    closers.push(() => closeWorker(worker));
    const report = (error: Error) =>
      this.#logger.warn({ err: error }, `${this.name}: ${error.message}`);
    control.on("error", report);
    worker.on("error", report);
    await worker.waitUntilReady();
    this.#control = control;
  }

  #tick(job: Job): Promise<void> {
    // BullMQ names the job of a tick repeat:<schedule>:<milliseconds>.
    const dueAt = Number(job.id?.split(":").at(-1)) || job.timestamp + job.delay;
    const task = job.data as Omit<NewTask<Input>, "jobId">;
    return addScheduled(this.#queue, { scheduleId: job.name, dueAt, task }, this.#logger);
  }

  #running(): BullmqQueue {
    if (this.#control && this.state === "running") return this.#control;
    throw queueError(
      "QUEUE_CLOSED",
      `${this.name} is ${this.state}: use it between start() and close()`,
    );
  }
}
