import {
  type CloserStack,
  type Component,
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
import { Gate } from "../gate/gate.ts";
import { publishWorkerMetrics, taskHistograms, type WorkerCounters } from "../metrics.ts";
import { isTaskEnvelope, type TaskEnvelope } from "../task.ts";
import { GatedWorker } from "./gated-worker.ts";
import {
  giveBack,
  parkForCallback,
  rawClient,
  type RunInHand,
  waitForChildren,
} from "./give-back.ts";
import { PutOff, type PutOffReason } from "./put-off.ts";
import { rateLimitWaitMs } from "./rate-limit-wait.ts";
import { SettleBatch } from "./settle-batch.ts";
import { runTask } from "./task-run.ts";
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

interface WorkerParts {
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
  };
  #histograms: ReturnType<typeof taskHistograms> | undefined;
  #parts: WorkerParts | undefined;
  #running = 0;

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
    if (this.#parts) this.#parts.worker.concurrency = concurrency;
  }

  status(): QueueWorkerStatus {
    return { ...this.#counters, running: this.#running };
  }

  health(): Health {
    return this.#parts?.worker.isRunning()
      ? { healthy: true }
      : { healthy: false, reason: `${this.name} fetches no tasks` };
  }

  async #open(closers: CloserStack): Promise<void> {
    const { options } = this;
    const { queue } = options;
    const registry = options.metrics ?? defaultMetrics;
    this.#histograms = taskHistograms(registry);
    closers.push(publishWorkerMetrics(queue.role, this.#counters, registry));
    const worker = new GatedWorker(
      queue.keys.queueName,
      // Three parameters: BullMQ makes a signal only for a function that declares it.
      (job, token, signal) => this.#process(job, token, signal),
      {
        connection: queue.client,
        prefix: queue.keys.bullmqPrefix,
        concurrency: options.concurrency,
        autorun: false,
        lockDuration: options.lockDurationMs,
        stalledInterval: options.stalledIntervalMs,
        // BullMQ's default of 1 fails a task on the second rollout that interrupts it.
        maxStalledCount: options.maxStarts,
        maxStartedAttempts: options.maxStarts,
        skipVersionCheck: true,
      },
    );
    closers.push(() => worker.close());
    this.#listen(worker);
    await worker.waitUntilReady();
    const backend = worker.getBackend();
    const gate = new Gate(await rawClient(backend), queue.keys);
    // A worker that ends closes its connection before the last batch may have left.
    const settles = new SettleBatch(
      () => (this.state === "draining" ? queue.gate : gate),
      (error) => this.#logger.warn({ err: error }, "slots not given back yet; reconcile will"),
    );
    this.#parts = { worker, backend, gate, settles };
    const upkeep = new Upkeep({
      queue,
      concurrency: () => worker.concurrency,
      reconcileIntervalMs: options.reconcileIntervalMs,
      logger: this.#logger,
    });
    await upkeep.start();
    closers.push(() => upkeep.close());
    closers.push(() => settles.flushed());
    this.#followPressure(closers, worker);
    if (options.pressure?.pressure !== "closed") void this.#run(worker);
  }

  #run(worker: GatedWorker): Promise<void> {
    return worker.run().catch((error: unknown) => {
      this.#logger.error({ err: error }, "worker stopped fetching");
    });
  }

  #listen(worker: GatedWorker): void {
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
      if (isFinal) this.#counters.failed++;
      else this.#counters.retried++;
      const { tenantId = "" } = envelopeOf(job) ?? {};
      // A task that BullMQ fails without running it, for too many starts, never reached #process.
      this.#settle(job, tenantId);
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
    const { worker } = this.#parts ?? {};
    if (!worker) return;
    const giveUp = () => this.#shutdown.abort();
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    await worker.close();
    signal.removeEventListener("abort", giveUp);
  }

  async #process(job: Job, token: string | undefined, signal: AbortSignal | undefined) {
    const parts = this.#parts;
    const envelope = envelopeOf(job);
    if (!envelope) {
      throw new UnrecoverableError(
        "QUEUE_ENVELOPE_INVALID: the job was not added by queue.add: its data has no tenantId and data",
      );
    }
    if (!parts) throw new Error("the worker is not open yet");
    const { worker, backend, gate } = parts;
    const inHand: RunInHand = { job, token: token ?? "", backend, gate };
    const { tenantId } = envelope;
    const { queue } = this.options;
    const allocation = await queue.options.tenants.allocation(tenantId, queue.role);
    const request = { tenantId, limits: allocation.limits };
    const grant = worker.grants.get(job.id ?? "");
    worker.grants.delete(job.id ?? "");
    if (grant !== job.attemptsStarted) {
      const run = { tenantId, jobId: job.id ?? "", attempt: job.attemptsStarted };
      if (!(await gate.acquire(run, allocation.limits))) {
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
    this.#running++;
    let keepsSlot = false;
    try {
      return await runTask({
        job,
        envelope,
        allocation,
        gate,
        options: this.options,
        signal: signal ?? new AbortController().signal,
        shutdown: this.#shutdown.signal,
      });
    } catch (error) {
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
      await this.#countDefer(job);
      return await giveBack(inHand, { ...request, dueAt: Date.now() + reason.delayMs });
    } finally {
      this.#running--;
      this.#histograms?.runSeconds.observe(
        { role: queue.role },
        (performance.now() - startedAt) / 1_000,
      );
      if (!keepsSlot) this.#settle(job, tenantId);
    }
  }

  #putOff(reason: string, job: Job, tenantId: string): void {
    if (reason === "slot") this.#counters.parked++;
    else if (reason === "defer" || reason === "shutdown") this.#counters.deferred++;
    this.#emitter.emit("task:put-off", { taskId: job.id ?? "", tenantId, reason });
  }

  async #countDefer(job: Job): Promise<void> {
    const { queue, maxDefers } = this.options;
    const defers = await queue.client.hincrby(`${queue.keys.bullmq}${job.id}`, "defers", 1);
    if (defers <= maxDefers) return;
    throw new UnrecoverableError(
      `QUEUE_DEFER_LIMIT: put off ${maxDefers} times: raise maxDefers or the limit that puts it off`,
    );
  }

  #settle(job: Job, tenantId: string): void {
    this.#parts?.settles.add({ tenantId, jobId: job.id ?? "", attempt: job.attemptsStarted });
  }
}

/** A rate limit that a handler lets pass puts its task off: it is not the task's failure. */
function putOffReason(error: unknown): PutOffReason | undefined {
  if (error instanceof PutOff) return error.reason;
  const delayMs = rateLimitWaitMs(error);
  return delayMs === undefined ? undefined : { kind: "defer", delayMs };
}

function envelopeOf(job: Job): TaskEnvelope | undefined {
  const data: unknown = job.data;
  return isTaskEnvelope(data) ? data : undefined;
}
