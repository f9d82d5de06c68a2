import type { LaunchPlan } from "./launch-plan.ts";
import type { Run } from "./run.ts";
import type { RunListeners } from "./run.ts";
import { spawnRun } from "./spawned-run.ts";

/** Starts the process of a plan. Never throws: what can't be started ends at once. */
export function startRun(plan: LaunchPlan, listeners: RunListeners): Run {
  return spawnRun(plan, listeners);
}
