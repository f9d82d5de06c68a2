import { captureStack } from "../health/stack-capture.ts";
import { readHostCapacity } from "../cgroup/host-capacity.ts";
import { Guardian } from "../orphans/guardian.ts";
import { StrayFinder } from "../orphans/stray-finder.ts";
import { sampleTree } from "../process/resource-sampler.ts";
import { runCommand } from "../process/run-command.ts";
import { startRun } from "../process/start-run.ts";
import { systemClock } from "./clock.ts";
import type { SupervisorHost } from "./supervisor-host.ts";

// Near the longest that Node.js can wait: the timer is there to be pending.
const HOLD_INTERVAL_MS = 2 ** 30;

/** The computer that this program runs on. */
export function createSystemHost(): SupervisorHost {
  const strays = new StrayFinder(systemClock);
  return {
    clock: systemClock,
    guardian: new Guardian(),
    capacity: readHostCapacity(),
    random: () => Math.random(),
    holdEventLoop: () => setInterval(() => {}, HOLD_INTERVAL_MS),
    launch: startRun,
    runCommand,
    findStrays: (runId) => strays.find(runId),
    sample: sampleTree,
    captureStack,
  };
}
