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
  TypedEmitter,
} from "@millrace/core";
import { type Job, type RedisQueueBackend, UnrecoverableError } from "bullmq";
import { Gate, type SettledRun } from "../gate/gate.ts";
import { publishWorkerMetrics, taskHistograms, type WorkerCounters } from "../metrics.ts";
import type { OpenPartition } from "../partitions/queue-partition.ts";
import { isTaskEnvelope, type TaskEnvelope } from "../task.ts";
import { Cancellations } from "./cancellations.ts";
import { type Children, childrenOf, parentOf } from "./children.ts";
import { CANCELLED, cancelledRun, deferLimit } from "./final-failures.ts";
import { GatedWorker } from "./gated-worker.ts";
import {
  giveBack,
  parkForCallback,
  rawClient,
  type RunInHand,
  waitForChildren,
} from "./give-back.ts";
import { putOffReason } from "./put-off.ts";
import { assertStartsLeft } from "./start-limit.ts";
import { SettleBatch } from "./settle-batch.ts";
import { type KeptRun, runTask } from "./task-run.ts";
import { Upkeep } from "./upkeep.ts";
import {
  type QueueWorkerOptions,
  queueWorkerOptionsSchema,
  type ResolvedQueueWorkerOptions,
} from "./worker-options.ts";

export type QueueWorkerEvents = {
  /** When a task is done. */
  "task:completed": { taskId: string; tenantId: string; result: unknown };
  /** When a run failed; `isFinal` when there will be no other. */
  "task:failed": { taskId: string; tenantId: string; error: Error; isFinal: boolean };
  /** When a run was put off: `reason` is `slot`, `defer`, `shutdown`, `callback` or `children`. */
  "task:put-off": { taskId: string; tenantId: string; reason: string };
};

/** What a worker has done since its start. */
export interface QueueWorkerStatus extends Readonly<WorkerCounters> {
  running: number;
}

/** Runs the tasks of one queue in this process. */
export interface QueueWorker extends Component {
  readonly options: ResolvedQueueWorkerOptions;
  status(): QueueWorkerStatus;
  /** Changes how many tasks run at once, while running. */
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

/** What runs the tasks of one partition. */
interface WorkerParts {
  partition: OpenPartition;
  worker: GatedWorker;
  backend: RedisQueueBackend;
  gate: Gate;
  settles: SettleBatch;
}

class BullmqQueueWorker extends LifecycleComponent implements QueueWorker {
  readonly name: string;
  readonly options: ResolvedQueueWorkerOptions;
  readonly #logger: Logger;
  protected readonly lifecycle: Lifecycle;
  readonly #emitter: TypedEmitter<QueueWorkerEvents>;
  readonly #shutdown = new AbortController();
  readonly #counters: WorkerCounters = {
    completed: 0,
    failed: 0,
    retried: 0,
    parked: 0,
    deferred: 0,
    cancelled: 0,
  };
  #histograms: ReturnType<typeof taskHistograms> | undefined;
  #parts: readonly WorkerParts[] = [];
  #cancellations: Cancellations | undefined;
  /** Ids that run now; the same id never runs twice in a process that is well. */
  readonly #running = new Set<string>();

  constructor(options: ResolvedQueueWorkerOptions) {
    super();
    this.name = `worker:${options.queue.role}`;
    this.options = options;
    this.#logger = options.logger ?? defaultLogger();
    this.#emitter = new TypedEmitter((error) =>
      this.#logger.error({ err: error }, "a worker listener threw"),
    );
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
    return this.#emitter.on(event, listener);
  }

  setConcurrency(concurrency: number): void {
    for (const { worker } of this.#parts) worker.concurrency = concurrency;
  }

  status(): QueueWorkerStatus {
    return { ...this.#counters, running: this.#running.size };
  }

  health(): Health {
    return this.#parts.length > 0 && this.#parts.every(({ worker }) => worker.isRunning())
      ? { healthy: true }
      : { healthy: false, reason: `${this.name} fetches no tasks` };
  }

  async #open(closers: CloserStack): Promise<void> {
    const { options } = this;
    const { queue } = options;
    const registry = options.metrics ?? defaultMetrics;
    this.#histograms = taskHistograms(registry);
    closers.push(publishWorkerMetrics(queue.role, this.#counters, registry));
    this.#parts = await Promise.all(
      partitionsOf(options).map((partition) => this.#openPartition(partition, closers)),
    );
    this.#cancellations = new Cancellations(
      this.#parts.map(({ partition, worker }) => ({
        partition,
        cancel: (taskId) => worker.cancelJob(taskId, CANCELLED),
        running: () => this.#running,
      })),
      this.#logger,
    );
    await this.#cancellations.open(queue.client, closers);
    for (const { worker } of this.#parts) {
      this.#followPressure(closers, worker);
      if (options.pressure?.pressure !== "closed") void this.#run(worker);
    }
  }

  async #openPartition(partition: OpenPartition, closers: CloserStack): Promise<WorkerParts> {
    const { options } = this;
    const worker: GatedWorker = new GatedWorker(
      partition.keys.queueName,
      // Three parameters: BullMQ makes a signal only for a function that declares it.
      (job, token, signal) => this.#process(parts, job, token, signal),
      {
        connection: options.queue.client,
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
    closers.push(() => worker.close());
    await worker.waitUntilReady();
    const backend = worker.getBackend();
    const gate = new Gate(await rawClient(backend), partition.keys);
    // A worker that ends closes its connection before the last batch may have left.
    const settles = new SettleBatch(
      () => (this.state === "draining" ? partition.gate : gate),
      (error) => this.#logger.warn({ err: error }, "slots not given back yet; reconcile will"),
    );
    const parts: WorkerParts = { partition, worker, backend, gate, settles };
    this.#listen(parts);
    const upkeep = new Upkeep({
      partition,
      finishMoves: () => options.queue.finishMoves(),
      concurrency: () => worker.concurrency,
      reconcileIntervalMs: options.reconcileIntervalMs,
      logger: this.#logger,
    });
    await upkeep.start();
    closers.push(() => upkeep.close());
    closers.push(() => settles.flushed());
    return parts;
  }

  #run(worker: GatedWorker): Promise<void> {
    return worker.run().catch((error: unknown) => {
      this.#logger.error({ err: error }, "worker stopped fetching");
    });
  }

  #listen(parts: WorkerParts): void {
    const { worker } = parts;
    worker.on("error", (error) =>
      this.#logger.warn({ err: error }, `${this.name}: ${error.message}`),
    );
    worker.on("lockRenewalFailed", (jobIds) => {
      // Somebody else may run them by now.
      for (const id of jobIds) worker.cancelJob(id, "the lock of this run is lost");
    });
    worker.on("completed", (job, result) => {
      this.#counters.completed++;
      const { tenantId = "" } = envelopeOf(job) ?? {};
      this.#emitter.emit("task:completed", { taskId: job.id ?? "", tenantId, result });
    });
    worker.on("failed", (job, error) => {
      if (!job) return;
      const isFinal = job.finishedOn !== undefined;
      if (this.#cancellations?.has(job.id ?? "")) this.#counters.cancelled++;
      else if (isFinal) this.#counters.failed++;
      else this.#counters.retried++;
      const { tenantId = "" } = envelopeOf(job) ?? {};
      // A task that is failed without a run never came to where its slot is given back.
      parts.settles.add(runOf(job, tenantId));
      this.#emitter.emit("task:failed", { taskId: job.id ?? "", tenantId, error, isFinal });
    });
  }

  #followPressure(closers: CloserStack, worker: GatedWorker): void {
    const { pressure } = this.options;
    if (!pressure) return;
    const withdraw = pressure.on("change", ({ to }) => {
      if (to === "closed") void worker.pause(true);
      else if (to === "open") void (worker.isRunning() ? worker.resume() : this.#run(worker));
    });
    closers.push(withdraw);
  }

  async #drain(signal: AbortSignal): Promise<void> {
    const giveUp = () => this.#shutdown.abort();
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    await Promise.all(this.#parts.map(({ worker }) => worker.close()));
    signal.removeEventListener("abort", giveUp);
  }

  async #process(
    parts: WorkerParts,
    job: Job,
    token: string | undefined,
    signal: AbortSignal | undefined,
  ) {
    const envelope = envelopeOf(job);
    if (!envelope) {
      throw new UnrecoverableError(
        "QUEUE_ENVELOPE_INVALID: the job was not added by queue.add: its data has no tenantId and data",
      );
    }
    const { worker, backend, gate, settles } = parts;
    await assertStartsLeft(job, gate, this.options.maxStarts);
    const taskId = job.id ?? "";
    const inHand: RunInHand = { job, token: token ?? "", backend, gate };
    const { tenantId } = envelope;
    const { queue } = this.options;
    const allocation = await queue.options.tenants.allocation(tenantId, queue.role);
    const request = { tenantId, limits: allocation.limits };
    const run = runOf(job, tenantId);
    const grant = worker.grants.get(taskId);
    worker.grants.delete(taskId);
    if (worker.cancelled.delete(taskId)) this.#cancellations?.add(taskId);
    if (grant !== job.attemptsStarted && !this.#cancellations?.has(taskId)) {
      const slot = await gate.acquire(run, allocation.limits);
      if (slot === "cancelled") this.#cancellations?.add(taskId);
      if (slot === "refused") {
        this.#putOff("slot", job, tenantId);
        return giveBack(inHand, request);
      }
    }
    const startedAt = performance.now();
    if (job.attemptsStarted === 1) {
      this.#histograms?.waitSeconds.observe(
        { role: queue.role },
        (Date.now() - job.timestamp) / 1_000,
      );
    }
    this.#running.add(taskId);
    let keepsSlot = false;
    try {
      if (this.#cancellations?.has(taskId)) throw new Error(CANCELLED);
      return await runTask({
        run: keptRun(job, gate, childrenOf(parentOf(job), queue, tenantId)),
        envelope,
        allocation,
        options: this.options,
        signal: signal ?? new AbortController().signal,
        shutdown: this.#shutdown.signal,
      });
    } catch (error) {
      if (this.#cancellations?.has(taskId)) throw endCancelled(job);
      const reason = putOffReason(error);
      if (!reason) throw error;
      keepsSlot = true;
      this.#putOff(reason.kind, job, tenantId);
      if (reason.kind === "callback") return await parkForCallback(inHand, { tenantId, ...reason });
      if (reason.kind === "shutdown") return await giveBack(inHand, request);
      if (reason.kind === "children") {
        keepsSlot = false;
        return await waitForChildren(inHand, request);
      }
      await this.#countDefer(parts.partition, job);
      return await giveBack(inHand, { ...request, dueAt: Date.now() + reason.delayMs });
    } finally {
      this.#running.delete(taskId);
      this.#histograms?.runSeconds.observe(
        { role: queue.role },
        (performance.now() - startedAt) / 1_000,
      );
      if (!keepsSlot) settles.add(run);
    }
  }

  #putOff(reason: string, job: Job, tenantId: string): void {
    if (reason === "slot") this.#counters.parked++;
    else if (reason === "defer" || reason === "shutdown") this.#counters.deferred++;
    this.#emitter.emit("task:put-off", { taskId: job.id ?? "", tenantId, reason });
  }

  async #countDefer({ gate, keys }: OpenPartition, job: Job): Promise<void> {
    const { maxDefers } = this.options;
    const defers = await gate.client.hincrby(`${keys.bullmq}${job.id}`, "defers", 1);
    if (defers <= maxDefers) return;
    throw deferLimit(maxDefers);
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

function keptRun(job: Job, gate: Gate, children: Children): KeptRun {
  return {
    taskId: job.id ?? "",
    attemptsMade: job.attemptsMade,
    attemptsStarted: job.attemptsStarted,
    children,
    now: Date.now,
    updateProgress: (value) => job.updateProgress(value),
    registerCallback: (dispatch) => gate.registerCallback(dispatch),
    timeout: (timeoutMs) => AbortSignal.timeout(timeoutMs),
  };
}

function runOf(job: Job, tenantId: string): SettledRun {
  return { tenantId, jobId: job.id ?? "", attempt: job.attemptsStarted };
}

/** Ends a cancelled task: BullMQ removes it instead of keeping it among the failed. */
function endCancelled(job: Job): UnrecoverableError {
  job.opts.removeOnFail = true;
  return cancelledRun();
}

function envelopeOf(job: Job): TaskEnvelope | undefined {
  const data: unknown = job.data;
  return isTaskEnvelope(data) ? data : undefined;
}
