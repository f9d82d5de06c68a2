import { type Job, type RedisQueueBackend, UnrecoverableError } from "bullmq";
import type { Gate, SettledRun } from "../gate/gate.ts";
import type { taskHistograms } from "../metrics.ts";
import { isTaskEnvelope, type TaskEnvelope } from "../task.ts";
import type { TenantAllocation } from "../tenants/tenant-allocation.ts";
import type { Cancellations } from "./cancellations.ts";
import { type Children, childrenOf, parentOf } from "./children.ts";
import { CANCELLED, cancelledRun, deferLimit } from "./final-failures.ts";
import type { GatedWorker } from "./gated-worker.ts";
import { giveBack, parkForCallback, type RunInHand, waitForChildren } from "./give-back.ts";
import { type PutOffReason, putOffReason } from "./put-off.ts";
import type { SettleBatch } from "./settle-batch.ts";
import { assertStartsLeft } from "./start-limit.ts";
import { type KeptRun, runTask } from "./task-run.ts";
import type { ResolvedQueueWorkerOptions } from "./worker-options.ts";
import type { WorkerOutcomes } from "./worker-outcomes.ts";

/** What the runs of all partitions of a worker share. */
export interface SharedRunParts {
  readonly options: ResolvedQueueWorkerOptions;
  readonly outcomes: WorkerOutcomes;
  readonly cancellations: Cancellations;
  /** Ids that run now; the same id never runs twice in a process that is well. */
  readonly running: Set<string>;
  readonly histograms: ReturnType<typeof taskHistograms>;
  /** Fires when the process gives its tasks back. */
  readonly shutdown: AbortSignal;
}

/** What the runs of one partition share. */
export interface JobRunParts {
  readonly shared: SharedRunParts;
  readonly worker: GatedWorker;
  readonly backend: RedisQueueBackend;
  /** Over the worker's own connection. */
  readonly gate: Gate;
  readonly settles: SettleBatch;
}

/**
 * Runs one job that BullMQ has fetched: proves that it holds a slot, runs its task, and gives the slot
 * back, or puts the job back behind the gate.
 */
export async function runJob(
  parts: JobRunParts,
  job: Job,
  token: string | undefined,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const envelope = envelopeOf(job);
  if (!envelope) {
    throw new UnrecoverableError(
      "QUEUE_ENVELOPE_INVALID: the job was not added by queue.add: its data has no tenantId and data",
    );
  }
  const { backend, gate, settles, shared } = parts;
  const { options, outcomes, cancellations, running, histograms } = shared;
  const { queue } = options;
  // Most runs are proven to be in order without asking anybody: they wait for nothing here.
  if (job.attemptsStarted > options.maxStarts) {
    await assertStartsLeft(job, gate, options.maxStarts);
  }
  const taskId = job.id ?? "";
  const { tenantId } = envelope;
  const allocation = await queue.options.tenants.allocation(tenantId, queue.role);
  const inHand: RunInHand = { job, token: token ?? "", backend, gate };
  const run = runOf(job, tenantId);
  if (!isProven(parts, job) && !(await acquire(parts, job, run, allocation))) {
    outcomes.putOff({ taskId, tenantId }, "slot");
    return giveBack(inHand, { tenantId, limits: allocation.limits });
  }
  const startedAt = performance.now();
  if (job.attemptsStarted === 1) {
    const waitedMs = Date.now() - job.timestamp;
    histograms.waitSeconds.observe({ role: queue.role }, waitedMs / 1_000);
  }
  running.add(taskId);
  let keepsSlot = false;
  try {
    if (cancellations.has(job)) throw new Error(CANCELLED);
    return await runTask({
      run: keptRun(job, gate, childrenOf(parentOf(job), queue, tenantId)),
      envelope,
      allocation,
      options,
      signal: signal ?? new AbortController().signal,
      shutdown: shared.shutdown,
    });
  } catch (error) {
    if (cancellations.has(job)) throw endCancelled(job);
    const reason = putOffReason(error);
    if (!reason) throw error;
    // What gives it back or parks it sees to its slot; waiting for children it holds none.
    keepsSlot = reason.kind !== "children";
    outcomes.putOff({ taskId, tenantId }, reason.kind);
    return await putOff(inHand, reason, { tenantId, allocation, maxDefers: options.maxDefers });
  } finally {
    running.delete(taskId);
    const ranMs = performance.now() - startedAt;
    histograms.runSeconds.observe({ role: queue.role }, ranMs / 1_000);
    if (!keepsSlot) settles.add(run);
  }
}

/** Whether the run was admitted with a slot, or is to end at once because its task was cancelled. */
function isProven({ worker, shared: { cancellations } }: JobRunParts, job: Job): boolean {
  const taskId = job.id ?? "";
  const grant = worker.grants.get(taskId);
  worker.grants.delete(taskId);
  if (worker.cancelled.delete(taskId)) cancellations.add(job);
  return grant === job.attemptsStarted || cancellations.has(job);
}

/** Asks for a slot. @returns false when the tenant has none to give. */
async function acquire(
  { gate, shared: { cancellations } }: JobRunParts,
  job: Job,
  run: SettledRun,
  { limits }: TenantAllocation,
): Promise<boolean> {
  const slot = await gate.acquire(run, limits);
  if (slot === "cancelled") cancellations.add(job);
  return slot !== "refused";
}

async function putOff(
  inHand: RunInHand,
  reason: PutOffReason,
  task: { tenantId: string; allocation: TenantAllocation; maxDefers: number },
): Promise<never> {
  const { tenantId } = task;
  const request = { tenantId, limits: task.allocation.limits };
  switch (reason.kind) {
    case "callback":
      return parkForCallback(inHand, { tenantId, ...reason });
    case "children":
      return waitForChildren(inHand, request);
    case "shutdown":
      return giveBack(inHand, request);
    case "defer":
      await countDefer(inHand, task.maxDefers);
      return giveBack(inHand, { ...request, dueAt: Date.now() + reason.delayMs });
    default:
      return reason satisfies never;
  }
}

async function countDefer({ gate, job }: RunInHand, maxDefers: number): Promise<void> {
  const defers = await gate.client.hincrby(`${gate.keys.bullmq}${job.id}`, "defers", 1);
  if (defers > maxDefers) throw deferLimit(maxDefers);
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

/** Ends a cancelled task: BullMQ removes it instead of keeping it among the failed. */
function endCancelled(job: Job): UnrecoverableError {
  job.opts.removeOnFail = true;
  return cancelledRun();
}

export function runOf(job: Job, tenantId: string): SettledRun {
  return { tenantId, jobId: job.id ?? "", attempt: job.attemptsStarted };
}

export function envelopeOf(job: Job): TaskEnvelope | undefined {
  const data: unknown = job.data;
  return isTaskEnvelope(data) ? data : undefined;
}
