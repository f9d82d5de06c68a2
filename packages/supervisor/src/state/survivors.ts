import { RUN_ID_VARIABLE } from "../orphans/stray-finder.ts";
import { listPids, readBootId, readEnvironment, readProcStat } from "../process/proc-stat.ts";
import { isSameProcess, type ProcessIdentity } from "../process/process-identity.ts";
import type { SupervisorState } from "./state-file.ts";

/** An instance that outlived its supervisor. */
export interface Survivor extends ProcessIdentity {
  process: string;
  number: number;
  /** The same for what it has started. */
  runId: string | undefined;
}

/**
 * Finds what an earlier supervisor of the same state file left running: by the file, and by the tag
 * in the environment of every process, which needs no file to be whole. A pid counts only with its
 * start time.
 */
export function findSurvivors(stateId: string, state: SupervisorState | undefined): Survivor[] {
  const found = new Map<number, Survivor>();
  if (state !== undefined && state.bootId === readBootId()) {
    for (const instance of state.instances) {
      if (!isSameProcess(instance)) continue;
      const runId = readEnvironment(instance.pid).get(RUN_ID_VARIABLE);
      found.set(instance.pid, { ...instance, runId });
    }
  }
  for (const pid of listPids()) {
    const survivor = found.has(pid) ? undefined : readTagged(pid, stateId);
    if (survivor !== undefined) found.set(pid, survivor);
  }
  return [...found.values()].toSorted((left, right) => left.startTicks - right.startTicks);
}

/** Only leaders of groups can be instances: what they started carries the same tags. */
function readTagged(pid: number, stateId: string): Survivor | undefined {
  const stat = readProcStat(pid);
  if (stat === undefined || stat.groupId !== pid || stat.state === "Z") return undefined;
  const env = readEnvironment(pid);
  if (env.get("MILLRACE_STATE_ID") !== stateId) return undefined;
  const process = env.get("MILLRACE_PROCESS_NAME");
  const number = Number(env.get("MILLRACE_INSTANCE_NUMBER"));
  if (process === undefined || !Number.isInteger(number) || number < 1) return undefined;
  return { process, number, pid, startTicks: stat.startTicks, runId: env.get(RUN_ID_VARIABLE) };
}
