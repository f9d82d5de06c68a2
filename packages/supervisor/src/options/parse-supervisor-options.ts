import { type ConfigProblem, configInvalid, messageOf, parseOptions } from "@millrace/core";
import type { HostCapacity } from "../cgroup/host-capacity.ts";
import { interpolate } from "../process/interpolate.ts";
import { planLaunch } from "../process/launch-plan.ts";
import { findCycle } from "../scaling/dependency-order.ts";
import { cronProblem } from "../scheduling/cron.ts";
import { applyEnvironmentOverrides } from "./environment-overrides.ts";
import type { ResolvedProcessOptions } from "./process-schema.ts";
import { closestKey } from "./strict-options.ts";
import {
  type ResolvedSupervisorOptions,
  type SupervisorOptions,
  supervisorOptionsSchema,
} from "./supervisor-options.ts";

const OWNER = "createSupervisor";

/**
 * Validates options, environment overrides and what they refer to.
 *
 * @throws `CONFIG_INVALID`, naming everything that is wrong at once.
 */
export function parseSupervisorOptions(
  input: SupervisorOptions,
  env: Record<string, string | undefined>,
  capacity: HostCapacity,
): ResolvedSupervisorOptions {
  const processes = applyEnvironmentOverrides(input.processes, env);
  const options = parseOptions(supervisorOptionsSchema, { ...input, processes }, OWNER);
  const enabled = Object.fromEntries(
    Object.entries(options.processes).filter(([, process]) => process.enabled),
  );
  const problems = Object.entries(enabled).flatMap(([name, process]) => [
    ...scaleProblems(name, process, env, capacity),
    ...dependencyProblems(name, process, Object.keys(enabled)),
    ...scheduleProblems(name, process, options.state !== undefined),
    ...planProblems(name, process, env, capacity),
  ]);
  for (const name of options.ready.processes ?? []) {
    if (name in enabled) continue;
    problems.push({ path: "ready.processes", problem: `there is no process ${name}` });
  }
  const cycle = findCycle(
    new Map(Object.entries(enabled).map(([name, { dependsOn }]) => [name, dependsOn])),
  );
  if (cycle !== undefined) {
    problems.push({ path: "processes", problem: `dependency cycle ${cycle.join(" -> ")}` });
  }
  if (problems.length > 0) throw configInvalid(OWNER, problems);
  return { ...options, processes: enabled };
}

/** The number of instances that a process starts with. */
export function initialScale(
  { scale, memory, minScale, maxScale, schedule }: ResolvedProcessOptions,
  env: Record<string, string | undefined>,
  capacity: HostCapacity,
): number {
  if (schedule !== undefined) return 0;
  if (scale === undefined && memory !== undefined) {
    const fitting = Math.floor((capacity.memoryBytes * memory.share) / memory.perInstance);
    return Math.min(maxScale, Math.max(minScale, fitting, 1));
  }
  if (typeof scale !== "string") return scale ?? Math.max(1, minScale);
  const variables = { ...env, ...capacityVariables(capacity) };
  return Math.min(maxScale, Math.max(minScale, Number(interpolate(scale, variables))));
}

function capacityVariables({ cpuCount, memoryBytes }: HostCapacity): Record<string, string> {
  return { CPU_COUNT: String(cpuCount), MEMORY_BYTES: String(memoryBytes) };
}

function scaleProblems(
  name: string,
  process: ResolvedProcessOptions,
  env: Record<string, string | undefined>,
  capacity: HostCapacity,
): ConfigProblem[] {
  const path = `processes.${name}.scale`;
  if (process.scale !== undefined && process.memory !== undefined) {
    return [{ path, problem: "give either scale or memory, not both" }];
  }
  try {
    const scale = initialScale(process, env, capacity);
    if (!Number.isInteger(scale) || scale < 0)
      return [{ path, problem: "expected a whole number" }];
    if (process.schedule === undefined && (scale > process.maxScale || scale < process.minScale)) {
      const { minScale, maxScale } = process;
      return [
        { path, problem: `${scale} is not between minScale ${minScale} and maxScale ${maxScale}` },
      ];
    }
  } catch (error) {
    return [{ path, problem: messageOf(error) }];
  }
  return [];
}

function dependencyProblems(
  name: string,
  { dependsOn }: ResolvedProcessOptions,
  known: readonly string[],
): ConfigProblem[] {
  return Object.keys(dependsOn)
    .filter((dependency) => !known.includes(dependency))
    .map((dependency) => {
      const meant = closestKey(dependency, known);
      const hint = meant === undefined ? "" : `, did you mean ${meant}?`;
      return {
        path: `processes.${name}.dependsOn`,
        problem: `there is no process ${dependency}${hint}`,
      };
    });
}

function scheduleProblems(
  name: string,
  { schedule }: ResolvedProcessOptions,
  hasState: boolean,
): ConfigProblem[] {
  if (schedule === undefined) return [];
  const path = `processes.${name}.schedule`;
  const problem = cronProblem(schedule.cron, schedule.timezone);
  if (problem !== undefined) return [{ path, problem }];
  if (schedule.catchUpMs === 0 || hasState) return [];
  return [{ path: `${path}.catchUpMs`, problem: "needs the option state, to remember past runs" }];
}

/** Plans an instance that is never started: unset variables and unknown users show up now. */
function planProblems(
  name: string,
  options: ResolvedProcessOptions,
  env: Record<string, string | undefined>,
  capacity: HostCapacity,
): ConfigProblem[] {
  try {
    planLaunch({ name, generation: 1, options }, 1, {
      env,
      ...capacity,
      guardId: "",
      stateId: undefined,
      listenFd: undefined,
      listenPort: options.listen?.port,
      heartbeatMs: undefined,
    });
    return [];
  } catch (error) {
    return [{ path: `processes.${name}`, problem: messageOf(error) }];
  }
}
