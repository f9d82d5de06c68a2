import type { CloserStack, Logger } from "@millrace/core";
import { closeWorker } from "../close-worker.ts";
import { Gate } from "../gate/gate.ts";
import type { OpenPartition } from "../partitions/queue-partition.ts";
import { unlessAway } from "../redis-client.ts";
import { CANCELLED } from "./final-failures.ts";
import { GatedWorker } from "./gated-worker.ts";
import { rawClient } from "./give-back.ts";
import { envelopeOf, type JobRunParts, runJob, runOf, type SharedRunParts } from "./job-run.ts";
import { SettleBatch } from "./settle-batch.ts";
import { Upkeep } from "./upkeep.ts";

export interface PartitionWorkerParts {
  readonly name: string;
  readonly partition: OpenPartition;
  readonly shared: SharedRunParts;
  readonly logger: Logger;
  readonly isDraining: () => boolean;
}

/** Runs the tasks of one partition. */
export class PartitionWorker {
  readonly partition: OpenPartition;
  readonly #worker: GatedWorker;
  readonly #logger: Logger;

  private constructor({ partition, logger }: PartitionWorkerParts, worker: GatedWorker) {
    this.partition = partition;
    this.#worker = worker;
    this.#logger = logger;
  }

  /** Connects, announces itself and follows the pressure; fetches once it is told to {@link run}. */
  static async open(parts: PartitionWorkerParts, closers: CloserStack): Promise<PartitionWorker> {
    const { partition, shared, logger } = parts;
    const { options } = shared;
    const { client } = options.queue;
    const worker: GatedWorker = new GatedWorker(
      partition.keys.queueName,
      // Three parameters: BullMQ makes a signal only for a function that declares it.
      (job, token, signal) => runJob(run, job, token, signal),
      {
        connection: client,
        prefix: partition.keys.bullmqPrefix,
        concurrency: options.concurrency,
        autorun: false,
        lockDuration: options.lockDurationMs,
        stalledInterval: options.stalledIntervalMs,
        // BullMQ's default of 1 fails a task on the second rollout that interrupts it.
        maxStalledCount: options.maxStarts,
        // BullMQ's default of 15 seconds outlasts most outages.
        runRetryDelay: 1_000,
        skipVersionCheck: true,
      },
    );
    closers.push(() => unlessAway(client, closeWorker(worker)));
    await worker.waitUntilReady();
    const backend = worker.getBackend();
    const gate = new Gate(await rawClient(backend), partition.keys);
    // A worker that ends closes its connection before the last batch may have left.
    const settles = new SettleBatch(
      () => (parts.isDraining() ? partition.gate : gate),
      (error) => logger.warn({ err: error }, "slots not given back yet; reconcile will"),
    );
    const run: JobRunParts = { shared, worker, backend, gate, settles };
    listen(run, parts);
    const upkeep = new Upkeep({
      partition,
      finishMoves: () => options.queue.finishMoves(),
      concurrency: () => worker.concurrency,
      reconcileIntervalMs: options.reconcileIntervalMs,
      logger,
    });
    await upkeep.start();
    closers.push(() => upkeep.close());
    closers.push(() => unlessAway(client, settles.flushed()));
    return new PartitionWorker(parts, worker);
  }

  get isRunning(): boolean {
    return this.#worker.isRunning();
  }

  set concurrency(concurrency: number) {
    this.#worker.concurrency = concurrency;
  }

  /** Fires the signal of a run, if it is here. */
  cancel(taskId: string): void {
    this.#worker.cancelJob(taskId, CANCELLED);
  }

  /** Fetches tasks until it is paused or closed. */
  async run(): Promise<void> {
    try {
      await this.#worker.run();
    } catch (error) {
      this.#logger.error({ err: error }, "worker stopped fetching");
    }
  }

  /** Fetches no more; what runs goes on. */
  pause(): Promise<void> {
    return this.#worker.pause(true);
  }

  resume(): void {
    void (this.#worker.isRunning() ? this.#worker.resume() : this.run());
  }

  /** Fetches no more, and resolves when nothing runs. */
  drain(): Promise<void> {
    return closeWorker(this.#worker);
  }
}

function listen({ worker, shared, settles }: JobRunParts, parts: PartitionWorkerParts): void {
  const { outcomes, cancellations } = shared;
  worker.on("error", (error) =>
    parts.logger.warn({ err: error }, `${parts.name}: ${error.message}`),
  );
  worker.on("lockRenewalFailed", (jobIds) => {
    // Somebody else may run them by now.
    for (const id of jobIds) worker.cancelJob(id, "the lock of this run is lost");
  });
  worker.on("completed", (job, result) => {
    const { tenantId = "" } = envelopeOf(job) ?? {};
    outcomes.completed({ taskId: job.id ?? "", tenantId }, result);
  });
  worker.on("failed", (job, error) => {
    if (!job) return;
    const taskId = job.id ?? "";
    const { tenantId = "" } = envelopeOf(job) ?? {};
    // A task that is failed without a run never came to where its slot is given back.
    settles.add(runOf(job, tenantId));
    outcomes.failed({ taskId, tenantId }, error, {
      isFinal: job.finishedOn !== undefined,
      isCancelled: cancellations.has(job),
    });
  });
}
