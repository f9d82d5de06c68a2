import type { AutoscaleDecision } from "./autoscale/decision.ts";
import type { JournalEntry } from "./event-journal.ts";
import type { Clock } from "./host/clock.ts";
import { isWaiting } from "./process/instance-state.ts";
import type { Instance } from "./process/instance.ts";
import { describeExit } from "./process/restart-policy.ts";
import type { StateStep } from "./process/state-track.ts";
import type { ManagedProcess } from "./scaling/managed-process.ts";
import type { OperationStatus } from "./scaling/operation.ts";
import type { ScheduleStatus } from "./scheduling/scheduled-run.ts";

/** Why a process or an instance is as it is. */
export interface Explanation {
  name: string;
  /** In words, the most important first. */
  because: string[];
  /** Newest changes of state of an instance, oldest first; empty for a process. */
  steps: readonly StateStep[];
  /** Operations under way, then the newest that have ended. */
  operations: OperationStatus[];
  /** Newest decision of the autoscaler. */
  decision: AutoscaleDecision | null;
  /** Newest events about it, oldest first. */
  events: JournalEntry[];
}

/** What an explanation draws on besides the process itself. */
export interface ExplanationSources {
  operations: OperationStatus[];
  decision: AutoscaleDecision | undefined;
  events: readonly JournalEntry[];
  schedule: ScheduleStatus | undefined;
}

const EVENTS = 20;
const ENDED_OPERATIONS = 5;

/** Says why an instance is in its state. */
export function explainInstance(
  process: ManagedProcess,
  instance: Instance,
  sources: ExplanationSources,
): Explanation {
  const { id } = instance;
  return {
    name: id,
    because: instanceWords(instance, process.clock),
    steps: [...instance.track.steps],
    operations: newest(sources.operations.filter((one) => (one.instance ?? id) === id)),
    decision: sources.decision ?? null,
    events: sources.events
      .filter(({ payload }) => concerns(payload, process.name, id))
      .slice(-EVENTS),
  };
}

/** Says why a process has the instances that it has. */
export function explainProcess(process: ManagedProcess, sources: ExplanationSources): Explanation {
  return {
    name: process.name,
    because: [...processWords(process, sources), ...notReadyWords(process)],
    steps: [],
    operations: newest(sources.operations),
    decision: sources.decision ?? null,
    events: sources.events
      .filter(({ payload }) => concerns(payload, process.name, undefined))
      .slice(-EVENTS),
  };
}

function processWords(
  process: ManagedProcess,
  { operations, decision, schedule }: ExplanationSources,
): string[] {
  const { name, desired, current, active } = process;
  const ready = active.filter(({ state }) => state === "ready").length;
  const words = [
    `${name} wants ${desired} instances; ${current} are active, ${ready} of them ready`,
  ];
  if (process.isStoppedByHand)
    words.push("it was stopped by hand and stays down until it is started");
  for (const { kind, state, message } of operations) {
    if (state === "running" || state === "pending") words.push(`${kind} is ${state}: ${message}`);
  }
  const failed = operations.findLast(({ state }) => state === "failed");
  if (failed?.error !== undefined) {
    words.push(`the last ${failed.kind} that failed: ${failed.error.message}`);
  }
  if (decision !== undefined) words.push(`the autoscaler last said: ${decision.reason}`);
  if (schedule !== undefined) {
    words.push(
      schedule.nextRunAt === null
        ? "its schedule is paused"
        : `its schedule fires next at ${schedule.nextRunAt}`,
    );
  }
  return words;
}

function notReadyWords({ all, clock }: ManagedProcess): string[] {
  return all
    .filter(({ state }) => state !== "ready")
    .flatMap((instance) => instanceWords(instance, clock).slice(0, 2));
}

function instanceWords(instance: Instance, clock: Clock): string[] {
  const { id, state, reason, restarts, lastExit, spec } = instance;
  const since = instance.track.steps.at(-1)?.time;
  const words = [`${id} is ${state}${since === undefined ? "" : ` since ${since}`}: ${reason}`];
  if (isWaiting(state) && restarts.nextStartAtMs !== undefined) {
    const leftMs = Math.max(0, restarts.nextStartAtMs - clock.now());
    words.push(`it is started again in ${Math.round(leftMs)} ms`);
  }
  if (state === "failed") {
    words.push(`its restart policy ends here; start ${id} to try again`);
  }
  if (state === "starting" && instance.uptimeMs > 0) {
    const leftMs = Math.max(0, spec.options.readyTimeoutMs - instance.uptimeMs);
    words.push(`it has ${Math.round(leftMs)} ms left to become ready`);
  }
  if (restarts.total > 0) {
    const counts = [...restarts.counts].map(([kind, count]) => `${count} by ${kind}`).join(", ");
    const { crashloopAfter } = spec.options.backoff;
    words.push(
      `it was restarted ${restarts.total} times (${counts}); its level is ${restarts.level}, ` +
        `a crashloop begins at ${crashloopAfter}`,
    );
  }
  if (lastExit !== undefined) words.push(`its last run ${describeExit(lastExit)}`);
  return words;
}

function newest(operations: readonly OperationStatus[]): OperationStatus[] {
  const unfinished = operations.filter(({ endedAt }) => endedAt === undefined);
  const ended = operations.filter(({ endedAt }) => endedAt !== undefined).toReversed();
  return [...unfinished, ...ended.slice(0, ENDED_OPERATIONS)];
}

function concerns(payload: object, process: string, instance: string | undefined): boolean {
  const about = payload as { process?: unknown; instance?: unknown };
  if (instance !== undefined && about.instance !== undefined) return about.instance === instance;
  return about.process === process;
}
