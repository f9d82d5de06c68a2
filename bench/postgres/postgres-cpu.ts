import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

let ticksPerSecond: number | undefined;

/**
 * CPU time that a PostgreSQL server has used, its backends and background processes included.
 *
 * @returns undefined without a postmaster or without /proc.
 */
export function postgresCpuSeconds(postmasterPid: number | undefined): number | undefined {
  if (postmasterPid === undefined || process.platform !== "linux") return undefined;
  ticksPerSecond ??= Number(spawnSync("getconf", ["CLK_TCK"], { encoding: "utf8" }).stdout) || 100;
  const postmaster = readProcess(postmasterPid);
  if (postmaster === undefined) return undefined;
  // What ended backends used is in the postmaster's own count of its children.
  let ticks = postmaster.ticks + postmaster.endedChildrenTicks;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const child = readProcess(Number(name));
    if (child?.parent === postmasterPid) ticks += child.ticks + child.endedChildrenTicks;
  }
  return ticks / ticksPerSecond;
}

/** See proc_pid_stat(5): fields 4 and 14 to 17. */
function readProcess(
  pid: number,
): { parent: number; ticks: number; endedChildrenTicks: number } | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The name before it is in parentheses and may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  return {
    parent: field(4),
    ticks: field(14) + field(15),
    endedChildrenTicks: field(16) + field(17),
  };
}
