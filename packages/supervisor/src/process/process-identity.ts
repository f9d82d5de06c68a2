import { readProcStat } from "./proc-stat.ts";

/** A process by pid and start time: together they name it for good on one boot. */
export interface ProcessIdentity {
  pid: number;
  startTicks: number;
}

/** Whether a process is still the one that was meant, not another with a reused pid. */
export function isSameProcess({ pid, startTicks }: ProcessIdentity): boolean {
  const stat = readProcStat(pid);
  return stat !== undefined && stat.startTicks === startTicks && stat.state !== "Z";
}
