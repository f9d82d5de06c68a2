import { messageOf, MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";
import { type Clock, sleep } from "../host/clock.ts";
import type { Instance } from "../process/instance.ts";
import type { ProcessSpec } from "../process/process-spec.ts";
import { abortable, type ManagedProcess } from "./managed-process.ts";
import type { RolloutFailure } from "./operation.ts";
import type { OperationContext } from "./operation-queue.ts";

/** How many instances a rollout may have too many or too few at any moment. */
export interface RolloutLimits {
  maxSurge: number;
  maxUnavailable: number;
  minReadyMs: number;
  /** For each replacement; 0 without limit. */
  progressDeadlineMs: number;
}

/** The limits of a process: with ports of their own two instances of one number can't coexist. */
export function rolloutLimitsOf({ options }: ProcessSpec): RolloutLimits {
  const { rollout, ports } = options;
  const maxSurge =
    rollout.maxSurge ?? (ports === undefined && rollout.maxUnavailable === undefined ? 1 : 0);
  const maxUnavailable = rollout.maxUnavailable ?? (maxSurge === 0 ? 1 : 0);
  return {
    maxSurge,
    maxUnavailable: maxSurge === 0 ? Math.max(1, maxUnavailable) : maxUnavailable,
    minReadyMs: rollout.minReadyMs,
    progressDeadlineMs: rollout.progressDeadlineMs,
  };
}

/**
 * Replaces the instances of `numbers` by instances of `spec`, readiness first. When one of them
 * doesn't become ready, what was replaced is put back and the rollout fails.
 *
 * @throws {@link MillraceError} `SUPERVISOR_ROLLED_BACK` with the reason in `cause`.
 */
export async function rollOut(
  process: ManagedProcess,
  spec: ProcessSpec,
  numbers: readonly number[],
  context: OperationContext,
): Promise<void> {
  const before = new Map(
    numbers.map((number) => [number, process.instances.get(number)?.spec ?? process.spec]),
  );
  const replaced: number[] = [];
  try {
    await replaceAll(
      process,
      numbers,
      () => spec,
      context,
      (number) => replaced.push(number),
    );
  } catch (error) {
    if (context.signal.aborted) throw error;
    await restorePrevious(process, replaced, before, context);
    throw new MillraceError<SupervisorErrorCode>(
      "SUPERVISOR_ROLLED_BACK",
      `the rollout of ${process.name} to generation ${spec.generation} was rolled back: ${messageOf(error)}`,
      {
        cause: error,
        details: {
          process: process.name,
          generation: spec.generation,
          reason: MillraceError.is(error) ? error.details["reason"] : undefined,
        },
      },
    );
  }
}

async function restorePrevious(
  process: ManagedProcess,
  replaced: readonly number[],
  before: ReadonlyMap<number, ProcessSpec>,
  context: OperationContext,
): Promise<void> {
  const specOf = (number: number): ProcessSpec => before.get(number) ?? process.spec;
  const newestFirst = replaced.toReversed();
  await replaceAll(process, newestFirst, specOf, context, () => {});
}

async function replaceAll(
  process: ManagedProcess,
  numbers: readonly number[],
  specOf: (number: number) => ProcessSpec,
  { signal, progress }: OperationContext,
  onReplaced: (number: number) => void,
): Promise<void> {
  const { maxSurge, maxUnavailable, minReadyMs, progressDeadlineMs } = rolloutLimitsOf(
    process.spec,
  );
  const waiting = [...numbers];
  const failed = new AbortController();
  const abort = AbortSignal.any([signal, failed.signal]);
  let done = 0;
  await process.whenRetired(signal);
  const work = async (surge: boolean): Promise<void> => {
    for (let number = waiting.shift(); number !== undefined; number = waiting.shift()) {
      if (abort.aborted) return;
      try {
        await withinDeadline(process.clock, progressDeadlineMs, abort, (either) =>
          replaceNumber(process, number, specOf(number), { surge, minReadyMs, signal: either }),
        );
      } catch (error) {
        failed.abort(error);
        throw error;
      }
      onReplaced(number);
      done++;
      progress(done, numbers.length, `replaced ${process.name}-${number}`);
    }
  };
  const workers = [
    ...Array.from({ length: Math.min(maxSurge, numbers.length) }, () => work(true)),
    ...Array.from({ length: Math.min(maxUnavailable, numbers.length) }, () => work(false)),
  ];
  const outcomes = await Promise.allSettled(workers);
  const failure = outcomes.find((outcome) => outcome.status === "rejected");
  if (failure !== undefined) throw failed.signal.aborted ? failed.signal.reason : failure.reason;
  signal.throwIfAborted();
}

/** Replaces one instance: the new one first when `surge`, else the old one goes first. */
export async function replaceNumber(
  process: ManagedProcess,
  number: number,
  spec: ProcessSpec,
  options: { surge: boolean; minReadyMs: number; signal: AbortSignal },
): Promise<void> {
  const old = process.instances.get(number);
  const oldSpec = old?.spec;
  const next = process.createInstance(number, spec);
  // What is counted per instance goes on with its successor.
  for (const [reason, count] of old?.restarts.counts ?? []) next.restarts.counts.set(reason, count);
  if (old !== undefined && !options.surge) {
    await process.retire(old, "replaced by a rollout");
    if (options.signal.aborted) {
      restore(process, number, oldSpec);
      options.signal.throwIfAborted();
    }
  }
  process.surging.add(next);
  next.start(`generation ${spec.generation}`);
  try {
    await next.whenReady(options.signal);
    await staysReady(process.clock, next, options.minReadyMs, options.signal);
  } catch (error) {
    const reason = options.signal.aborted ? undefined : reasonOf(next, error);
    await process.retire(next, "did not become ready");
    if (!options.surge) restore(process, number, oldSpec);
    throw reason === undefined ? error : failedBecause(reason, error);
  }
  process.surging.delete(next);
  process.instances.set(number, next);
  if (old !== undefined && options.surge) {
    await abortable(process.retire(old, "replaced by a rollout"), options.signal).catch(() => {});
  }
}

function restore(process: ManagedProcess, number: number, spec: ProcessSpec | undefined): void {
  if (spec === undefined) return;
  const restored = process.createInstance(number, spec);
  process.instances.set(number, restored);
  restored.start("restored after a failed rollout");
}

/** Runs `work`, whose signal fires at the deadline too; 0 is none. */
async function withinDeadline(
  clock: Clock,
  deadlineMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  if (deadlineMs === 0) return work(signal);
  const stalled = new AbortController();
  const timer = clock.setTimeout(() => {
    stalled.abort(failedBecause("stalled", `no progress within ${deadlineMs} ms`));
  }, deadlineMs);
  try {
    await work(AbortSignal.any([signal, stalled.signal]));
  } finally {
    timer.close();
  }
}

/** Called when it has failed to become or to stay ready, before it is stopped. */
function reasonOf(instance: Instance, error: unknown): RolloutFailure {
  if (instance.lastExit !== undefined) return "crashed";
  return MillraceError.is(error) && error.details["reason"] === "not-stable"
    ? "not-stable"
    : "not-ready";
}

function failedBecause(reason: RolloutFailure, cause: unknown): MillraceError<SupervisorErrorCode> {
  const message = typeof cause === "string" ? cause : messageOf(cause);
  return new MillraceError<SupervisorErrorCode>("SUPERVISOR_INSTANCE_FAILED", message, {
    cause,
    details: { reason },
  });
}

async function staysReady(
  clock: Clock,
  instance: Instance,
  forMs: number,
  signal: AbortSignal,
): Promise<void> {
  const until = clock.monotonicMs() + forMs;
  for (;;) {
    await instance.whenReady(signal);
    const leftMs = until - clock.monotonicMs();
    if (leftMs <= 0) return;
    await sleep(clock, Math.min(leftMs, 50), signal);
    signal.throwIfAborted();
    if (instance.state !== "ready") {
      throw new MillraceError<SupervisorErrorCode>(
        "SUPERVISOR_INSTANCE_FAILED",
        `${instance.id} was ready but did not stay so for ${forMs} ms: ${instance.reason}`,
        { details: { instance: instance.id, reason: "not-stable" } },
      );
    }
  }
}
