import type { ResourceUsage } from "./resource-usage.ts";
import { PAGE_BYTES, readChildPids, readProcStat, TICKS_PER_SECOND } from "./proc-stat.ts";

/**
 * Memory and processor time of a process and its descendants; `undefined` when it is gone or the
 * platform has no `/proc`. Reads the kernel's files directly: a hundred children cost milliseconds.
 */
export function sampleTree(pid: number): ResourceUsage | undefined {
  const root = readProcStat(pid);
  if (root === undefined || root.state === "Z") return undefined;
  let residentPages = root.residentPages;
  let cpuTicks = root.cpuTicks;
  const waiting = readChildPids(pid);
  for (let child = waiting.pop(); child !== undefined; child = waiting.pop()) {
    const stat = readProcStat(child);
    if (stat === undefined) continue;
    residentPages += stat.residentPages;
    cpuTicks += stat.cpuTicks;
    waiting.push(...readChildPids(child));
  }
  return { residentBytes: residentPages * PAGE_BYTES, cpuSeconds: cpuTicks / TICKS_PER_SECOND };
}
