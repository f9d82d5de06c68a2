import {
  type CloserStack,
  type Component,
  configInvalid,
  defaultLogger,
  defaultMetrics,
  type Health,
  Lifecycle,
  LifecycleComponent,
  type Listener,
  type Logger,
  parseOptions,
} from "@millrace/core";
import { publishWorkerMetrics, taskHistograms, type WorkerCounters } from "../metrics.ts";
import type { OpenPartition } from "../partitions/queue-partition.ts";
import { unlessAway } from "../redis-client.ts";
import { Cancellations } from "./cancellations.ts";
import type { SharedRunParts } from "./job-run.ts";
import { PartitionWorker } from "./partition-worker.ts";
import {
  assertConcurrency,
  type QueueWorkerOptions,
  queueWorkerOptionsSchema,
  type ResolvedQueueWorkerOptions,
} from "./worker-options.ts";
import { type QueueWorkerEvents, WorkerOutcomes } from "./worker-outcomes.ts";

/** What a worker has done since its start. */
export interface QueueWorkerStatus extends Readonly<WorkerCounters> {
  running: number;
}

/** Runs the tasks of one queue in this process. */
export interface QueueWorker extends Component {
  readonly options: ResolvedQueueWorkerOptions;
  status(): QueueWorkerStatus;
  /**
   * Changes how many tasks run at once, while running.
   *
   * @throws {@link MillraceError} `CONFIG_INVALID` for no whole number above 0.
   */
  setConcurrency(concurrency: number): void;
  on<Name extends keyof QueueWorkerEvents>(
    event: Name,
    listener: Listener<QueueWorkerEvents[Name]>,
  ): () => void;
}

/**
 * Creates a worker. `close({ graceMs })` lets running tasks end; what still runs then is given back
 * behind the gate at its old place, without counting an attempt.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options. `start` throws `QUEUE_CLOSED` when the
 * queue is not running.
 */
export function createQueueWorker<Input = unknown, Output = unknown>(
  options: QueueWorkerOptions<Input, Output>,
): QueueWorker {
  return new BullmqQueueWorker(
    parseOptions(queueWorkerOptionsSchema, options, "createQueueWorker"),
  );
}

class BullmqQueueWorker extends LifecycleComponent implements QueueWorker {
  readonly name: string;
  readonly options: ResolvedQueueWorkerOptions;
  readonly #logger: Logger;
  protected readonly lifecycle: Lifecycle;
  readonly #outcomes: WorkerOutcomes;
  readonly #shutdown = new AbortController();
  #partitions: readonly PartitionWorker[] = [];
  readonly #running = new Set<string>();

  constructor(options: ResolvedQueueWorkerOptions) {
    super();
    this.name = `worker:${options.queue.role}`;
    this.options = options;
    this.#logger = options.logger ?? defaultLogger();
    this.#outcomes = new WorkerOutcomes(this.#logger);
    this.lifecycle = new Lifecycle({
      name: this.name,
      open: (closers) => this.#open(closers),
      drain: (signal) => this.#drain(signal),
    });
  }

  on<Name extends keyof QueueWorkerEvents>(
    event: Name,
    listener: Listener<QueueWorkerEvents[Name]>,
  ): () => void {
    return this.#outcomes.on(event, listener);
  }

  setConcurrency(concurrency: number): void {
    assertConcurrency(concurrency);
    for (const partition of this.#partitions) partition.concurrency = concurrency;
  }

  status(): QueueWorkerStatus {
    return { ...this.#outcomes.counters, running: this.#running.size };
  }

  health(): Health {
    return this.#partitions.length > 0 && this.#partitions.every(({ isRunning }) => isRunning)
      ? { healthy: true }
      : { healthy: false, reason: `${this.name} fetches no tasks` };
  }

  async #open(closers: CloserStack): Promise<void> {
    const { options } = this;
    const registry = options.metrics ?? defaultMetrics;
    closers.push(publishWorkerMetrics(options.queue.role, this.#outcomes.counters, registry));
    const cancellations = new Cancellations(this.#logger);
    const shared: SharedRunParts = {
      options,
      cancellations,
      outcomes: this.#outcomes,
      running: this.#running,
      histograms: taskHistograms(registry),
      shutdown: this.#shutdown.signal,
    };
    this.#partitions = await Promise.all(
      partitionsOf(options).map((partition) =>
        PartitionWorker.open(
          {
            partition,
            shared,
            name: this.name,
            logger: this.#logger,
            isDraining: () => this.state === "draining",
          },
          closers,
        ),
      ),
    );
    const targets = this.#partitions.map((one) => ({
      partition: one.partition,
      cancel: (taskId: string) => one.cancel(taskId),
      running: () => this.#running,
    }));
    await cancellations.open(options.queue.client, targets, closers);
    this.#followPressure(closers);
    if (options.pressure?.pressure === "closed") return;
    for (const partition of this.#partitions) void partition.run();
  }

  #followPressure(closers: CloserStack): void {
    const withdraw = this.options.pressure?.on("change", ({ to }) => {
      for (const partition of this.#partitions) {
        if (to === "closed") void partition.pause();
        else if (to === "open") partition.resume();
      }
    });
    closers.push(() => withdraw?.());
  }

  async #drain(signal: AbortSignal): Promise<void> {
    const { promise: graceOver, resolve } = Promise.withResolvers<void>();
    const giveUp = () => {
      this.#shutdown.abort();
      resolve();
    };
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    const drained = Promise.all(this.#partitions.map((partition) => partition.drain()));
    await Promise.race([drained, graceOver]);
    signal.removeEventListener("abort", giveUp);
    // What runs can neither end nor be given back without Redis: others take it up as stalled.
    if (signal.aborted) await unlessAway(this.options.queue.client, drained);
  }
}

/** @throws {@link MillraceError} `CONFIG_INVALID` for a partition that the queue does not have. */
function partitionsOf({ queue, partitions }: ResolvedQueueWorkerOptions): OpenPartition[] {
  const all = queue.partitions as readonly OpenPartition[];
  if (!partitions) return [...all];
  return partitions.map((number) => {
    const found = all.find(({ name }) => name === `${queue.keys.queueName}#${number}`);
    if (found) return found;
    throw configInvalid("createQueueWorker", [
      { path: "partitions", problem: `${queue.role} has no partition ${number}` },
    ]);
  });
}
