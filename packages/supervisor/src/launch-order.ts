import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "./errors.ts";
import type { Fleet } from "./fleet.ts";
import { sleep } from "./host/clock.ts";
import { isMet, sayCondition } from "./dependency-conditions.ts";
import type { HostCapacity } from "./cgroup/host-capacity.ts";
import { initialScale } from "./options/parse-supervisor-options.ts";
import { dependencyLevels } from "./scaling/dependency-order.ts";
import type { ManagedProcess } from "./scaling/managed-process.ts";

/** What starting everything depends on. */
export interface LaunchOptions {
  /** A scale remembered from an earlier supervisor. */
  scaleOf(process: ManagedProcess, configured: number): number | undefined;
  /** Whether it was stopped by hand under an earlier supervisor and is to stay so. */
  staysStopped(process: ManagedProcess): boolean;
  env: Record<string, string | undefined>;
  capacity: HostCapacity;
  dependencyTimeoutMs: number;
  signal: AbortSignal;
}

const POLL_MS = 10;

/**
 * Starts every process, each one after its dependencies, those of one level side by side.
 *
 * @throws {@link MillraceError} `SUPERVISOR_DEPENDENCY_UNMET`
 */
export async function launchAll(fleet: Fleet, options: LaunchOptions): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const outcomes = await Promise.allSettled(
    [...fleet.processes.values()].map(async (process) => {
      try {
        await waitForDependencies(fleet, process, options.dependencyTimeoutMs, signal);
        await launch(fleet, process, options);
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    }),
  );
  if (outcomes.some(({ status }) => status === "rejected")) {
    throw failed.signal.reason instanceof Error ? failed.signal.reason : new Error("start failed");
  }
}

/** Stops processes in reverse order of their start: nobody loses what it depends on. */
export async function stopAll(fleet: Fleet, force: AbortSignal): Promise<void> {
  const graph = new Map(
    [...fleet.processes].map(([name, { spec }]) => [name, spec.options.dependsOn]),
  );
  for (const level of (dependencyLevels(graph) ?? [[...graph.keys()]]).toReversed()) {
    await Promise.all(
      level.map((name) => fleet.process(name)).map((process) => stopProcess(process, force)),
    );
  }
}

async function launch(
  fleet: Fleet,
  process: ManagedProcess,
  options: LaunchOptions,
): Promise<void> {
  const { minScale, maxScale } = process.spec.options;
  const configured = initialScale(process.spec.options, options.env, options.capacity);
  const wanted = options.scaleOf(process, configured) ?? configured;
  const desired = Math.min(maxScale, Math.max(minScale, wanted));
  if (desired === 0) return;
  if (options.staysStopped(process)) {
    process.setDesired(desired, "remembered");
    process.isStoppedByHand = true;
    return;
  }
  const operation = fleet.scale(process.name, desired, {}, "start");
  const onAbort = (): void => operation.cancel();
  options.signal.addEventListener("abort", onAbort);
  await operation.done;
  options.signal.removeEventListener("abort", onAbort);
}

async function stopProcess(process: ManagedProcess, force: AbortSignal): Promise<void> {
  const kill = (): void => {
    for (const instance of process.all) instance.kill();
  };
  force.addEventListener("abort", kill);
  const operations = process.operations.close();
  const stopping = process.all.map((instance) =>
    process.retire(instance, "supervisor is stopping"),
  );
  if (force.aborted) kill();
  await operations;
  // An operation that was just cancelled may have started one more.
  const late = process.all.map((instance) => process.retire(instance, "supervisor is stopping"));
  if (force.aborted) kill();
  await Promise.all([...stopping, ...late]);
  force.removeEventListener("abort", kill);
}

async function waitForDependencies(
  fleet: Fleet,
  process: ManagedProcess,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const deadline = process.clock.monotonicMs() + timeoutMs;
  for (const [name, condition] of Object.entries(process.spec.options.dependsOn)) {
    const dependency = fleet.process(name);
    while (!isMet(dependency, condition)) {
      signal.throwIfAborted();
      const hopeless = hasFailed(dependency);
      if (hopeless || process.clock.monotonicMs() > deadline) {
        throw new MillraceError<SupervisorErrorCode>(
          "SUPERVISOR_DEPENDENCY_UNMET",
          `${process.name} waits for ${name} to ${sayCondition(condition)}, which ` +
            (hopeless ? "has failed" : `did not happen within ${timeoutMs} ms`),
          { details: { process: process.name, dependency: name, condition } },
        );
      }
      await sleep(process.clock, POLL_MS, signal);
    }
  }
}

function hasFailed(process: ManagedProcess): boolean {
  return [...process.instances.values()].some(({ state }) => state === "failed");
}
