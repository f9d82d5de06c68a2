import {
  type CloserStack,
  defaultLogger,
  defaultMetrics,
  type Health,
  Lifecycle,
  LifecycleComponent,
  type Listener,
  messageOf,
} from "@millrace/core";
import { queueError } from "../errors.ts";
import type { TenantLimits } from "../gate/tenant-limits.ts";
import { publishWorkerMetrics, taskHistograms } from "../metrics.ts";
import type { TenantAllocation } from "../tenants/tenant-allocation.ts";
import { CANCELLED, cancelledRun, deferLimit, startLimit } from "../worker/final-failures.ts";
import { type PutOffReason, putOffReason } from "../worker/put-off.ts";
import type { QueueWorker, QueueWorkerStatus } from "../worker/queue-worker.ts";
import { assertConcurrency, type ResolvedQueueWorkerOptions } from "../worker/worker-options.ts";
import { type QueueWorkerEvents, WorkerOutcomes } from "../worker/worker-outcomes.ts";
import type { KeptQueue } from "./kept-queue.ts";
import { runInMemory } from "./memory-run.ts";
import type { MemoryStore } from "./memory-store.ts";
import { storedCopy } from "./stored-copy.ts";
import type { Taker } from "./takers.ts";
import type { TaskRecord } from "./task-record.ts";

/** A worker of a backend in memory. */
export class MemoryWorker extends LifecycleComponent implements QueueWorker, Taker {
  readonly name: string;
  readonly options: ResolvedQueueWorkerOptions;
  concurrency: number;
  readonly #kept: KeptQueue;
  readonly #store: MemoryStore;
  readonly #outcomes: WorkerOutcomes;
  readonly #shutdown = new AbortController();
  readonly #runs = new Set<Promise<void>>();
  protected readonly lifecycle: Lifecycle;
  #isTaking = false;

  constructor(options: ResolvedQueueWorkerOptions, kept: KeptQueue, store: MemoryStore) {
    super();
    this.name = `worker:${options.queue.role}`;
    this.options = options;
    this.concurrency = options.concurrency;
    this.#kept = kept;
    this.#store = store;
    this.#outcomes = new WorkerOutcomes(options.logger ?? defaultLogger());
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
    this.concurrency = concurrency;
    this.#kept.admissions.fitWindow();
  }

  status(): QueueWorkerStatus {
    return { ...this.#outcomes.counters, running: this.#runs.size };
  }

  health(): Health {
    return this.#isTaking
      ? { healthy: true }
      : { healthy: false, reason: `${this.name} fetches no tasks` };
  }

  takeOne(): boolean {
    if (!this.#isTaking || this.#runs.size >= this.concurrency) return false;
    const task = this.#kept.take();
    if (!task) return false;
    const run = this.#run(task).finally(() => {
      this.#runs.delete(run);
      this.#kept.admissions.takers.wake();
    });
    this.#runs.add(run);
    this.#store.track(run);
    return true;
  }

  async #run(task: TaskRecord): Promise<void> {
    const { queue, maxStarts } = this.options;
    const { keepCompletedSeconds, keepFailedSeconds } = queue.options;
    const { finished, clock } = this.#kept;
    try {
      if (task.attemptsStarted - task.putOffs > maxStarts) throw startLimit(maxStarts);
      const allocation = await queue.options.tenants.allocation(task.tenantId, queue.role);
      const isGranted = task.grantedFor === task.attemptsStarted || task.isCancelled;
      if (isGranted || this.#kept.acquire(task, allocation.limits)) {
        await this.#handle(task, allocation);
      } else {
        this.#tellPutOff(task, "slot");
        this.#kept.giveBack(task, allocation.limits);
      }
    } catch (error) {
      this.#fail(task, error instanceof Error ? error : new Error(messageOf(error)));
    }
    finished.prune("completed", clock.now() - keepCompletedSeconds * 1_000);
    finished.prune("failed", clock.now() - keepFailedSeconds * 1_000);
  }

  async #handle(task: TaskRecord, allocation: TenantAllocation): Promise<void> {
    const { options } = this;
    const { clock } = this.#kept;
    const role = options.queue.role;
    const startedAt = clock.now();
    const histograms = taskHistograms(options.metrics ?? defaultMetrics);
    if (task.attemptsStarted === 1) {
      histograms.waitSeconds.observe({ role }, (startedAt - task.addedAt) / 1_000);
    }
    let result: unknown;
    try {
      if (task.isCancelled) throw new Error(CANCELLED);
      const shutdown = this.#shutdown.signal;
      result = await runInMemory(this.#kept, task, { allocation, options, shutdown });
    } catch (error) {
      const reason = task.isCancelled ? undefined : putOffReason(error);
      if (!reason) throw error;
      this.#tellPutOff(task, reason.kind);
      this.#putOff(task, reason, allocation.limits);
      return;
    } finally {
      histograms.runSeconds.observe({ role }, (clock.now() - startedAt) / 1_000);
    }
    this.#kept.complete(task, storedCopy(result));
    this.#outcomes.completed(task, result);
  }

  #putOff(task: TaskRecord, reason: PutOffReason, limits: TenantLimits): void {
    switch (reason.kind) {
      case "callback":
        return this.#kept.awaitCallback(task, reason);
      case "children":
        return this.#kept.awaitChildren(task, limits);
      case "shutdown":
        return this.#kept.giveBack(task, limits);
      case "defer": {
        const { maxDefers } = this.options;
        task.defers++;
        if (task.defers > maxDefers) throw deferLimit(maxDefers);
        return this.#kept.giveBack(task, limits, this.#kept.clock.now() + reason.delayMs);
      }
      default:
        return reason satisfies never;
    }
  }

  #fail(task: TaskRecord, failure: Error): void {
    const { isCancelled } = task;
    const error = isCancelled ? cancelledRun() : failure;
    const isUnrecoverable = error.name === "UnrecoverableError";
    const isFinal = isUnrecoverable || task.attemptsMade + 1 >= task.attempts;
    if (isCancelled) {
      this.#kept.endCancelled(task, error.message);
    } else {
      // BullMQ waits between half and all of it.
      const retryInMs = this.options.queue.options.retryBackoffMs * 2 ** task.attemptsMade;
      this.#kept.fail(task, error.message, isFinal ? undefined : retryInMs);
    }
    this.#outcomes.failed(task, error, { isFinal, isCancelled });
  }

  #tellPutOff(task: TaskRecord, reason: string): void {
    task.putOffs++;
    this.#outcomes.putOff(task, reason);
  }

  #open(closers: CloserStack): void {
    const { queue, metrics = defaultMetrics, pressure } = this.options;
    if (queue.state !== "running") {
      throw queueError(
        "QUEUE_CLOSED",
        `${queue.name} is ${queue.state}: start it before its workers`,
      );
    }
    closers.push(publishWorkerMetrics(queue.role, this.#outcomes.counters, metrics));
    this.#isTaking = pressure?.pressure !== "closed";
    const withdraw = pressure?.on("change", ({ to }) => {
      if (to === "closed") this.#isTaking = false;
      else if (to === "open") this.#isTaking = true;
      this.#kept.admissions.takers.wake();
    });
    closers.push(() => withdraw?.());
    this.#kept.admissions.takers.add(this);
    this.#kept.admissions.fitWindow();
  }

  async #drain(signal: AbortSignal): Promise<void> {
    this.#isTaking = false;
    this.#kept.admissions.takers.delete(this);
    this.#kept.admissions.fitWindow();
    const giveUp = () => this.#shutdown.abort();
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    await Promise.all(this.#runs);
    signal.removeEventListener("abort", giveUp);
  }
}
