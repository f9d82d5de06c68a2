import { readFileSync } from "node:fs";
import { postgresCpuSeconds } from "../postgres/postgres-cpu.ts";

/** What a piece of work cost. */
export interface Usage {
  /** User and system time of this process, all threads. */
  cpuSeconds: number;
  /** The same of PostgreSQL, all processes; undefined where the system does not tell. */
  postgresCpuSeconds: number | undefined;
  /** Of this process, since it started. */
  peakMemoryBytes: number;
}

/**
 * Starts to count what this process uses.
 *
 * @param postmasterPid of the PostgreSQL that works for it, if there is one.
 * @returns a function that says what was used since.
 */
export function startUsage(postmasterPid?: number): () => Usage {
  const cpuBefore = process.cpuUsage();
  const postgresBefore = postgresCpuSeconds(postmasterPid);
  return () => {
    const { user, system } = process.cpuUsage(cpuBefore);
    const postgresAfter = postgresCpuSeconds(postmasterPid);
    return {
      cpuSeconds: (user + system) / 1_000_000,
      postgresCpuSeconds:
        postgresBefore === undefined || postgresAfter === undefined
          ? undefined
          : postgresAfter - postgresBefore,
      peakMemoryBytes: peakMemoryBytes(),
    };
  };
}

/**
 * On Linux from /proc, because `maxRSS` of a process starts at that of the process which started it:
 * the benchmark's own memory would show up in every server.
 */
function peakMemoryBytes(): number {
  if (process.platform === "linux") {
    const status = readFileSync("/proc/self/status", "utf8");
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    if (kibibytes !== undefined) return Number(kibibytes) * 1_024;
  }
  return process.resourceUsage().maxRSS * 1_024;
}
