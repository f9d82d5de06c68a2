import { readdirSync, readFileSync } from "node:fs";
import { readProcFile } from "./proc-file.ts";

/** What `/proc/<pid>/stat` says about a process. */
export interface ProcStat {
  pid: number;
  /** `R`, `S`, `Z` and so on. */
  state: string;
  parentPid: number;
  groupId: number;
  /** User and system time, in clock ticks (100 per second). */
  cpuTicks: number;
  /** Since boot, in clock ticks: with the pid it names a process for good. */
  startTicks: number;
  residentPages: number;
}

/** Clock ticks per second of `/proc`; fixed by the Linux ABI. */
export const TICKS_PER_SECOND = 100;

/** Bytes per page, where the kernel counts in pages. */
export const PAGE_BYTES =
  process.arch === "arm64" && process.platform === "darwin" ? 16_384 : 4_096;

const SPACE = 0x20;
const ZERO = 0x30;
const NINE = 0x39;
const LAST_FIELD = 24;

// Read from the bytes, into one array: cut into strings, the files of 50 children a second were 5 MiB
// of garbage in ten seconds, which V8 lets pile up.
const fields: number[] = Array.from({ length: LAST_FIELD + 1 }, () => 0);

/** Reads one process; `undefined` when it is gone or there is no `/proc`. */
export function readProcStat(pid: number): ProcStat | undefined {
  const bytes = readProcFile(`/proc/${pid}/stat`);
  if (bytes === undefined) return undefined;
  // The command in parentheses may hold anything, parentheses and blanks included.
  const start = bytes.lastIndexOf(")") + 2;
  let field = 3;
  let value = 0;
  for (let at = start; field <= LAST_FIELD && at < bytes.length; at++) {
    const byte = bytes[at] ?? SPACE;
    if (byte === SPACE) {
      fields[field++] = value;
      value = 0;
    } else if (byte >= ZERO && byte <= NINE) value = value * 10 + byte - ZERO;
  }
  return {
    pid,
    state: String.fromCharCode(bytes[start] ?? 0x3f),
    parentPid: number(4),
    groupId: number(5),
    cpuTicks: number(14) + number(15),
    startTicks: number(22),
    residentPages: number(24),
  };
}

function number(field: number): number {
  return fields[field] ?? 0;
}

/** Pids of every process there is; empty without `/proc`. */
export function listPids(): number[] {
  try {
    return readdirSync("/proc")
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && pid > 0);
  } catch {
    return [];
  }
}

/** Pids of the direct children, empty when there are none or the kernel doesn't say. */
export function readChildPids(pid: number): number[] {
  const bytes = readProcFile(`/proc/${pid}/task/${pid}/children`);
  if (bytes === undefined || bytes.length === 0) return [];
  return bytes
    .toString("latin1")
    .split(" ")
    .map(Number)
    .filter((child) => child > 0);
}

/** The environment a process was started with; empty when it is gone or not ours to read. */
export function readEnvironment(pid: number): Map<string, string> {
  const variables = new Map<string, string>();
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch {
    return variables;
  }
  for (const entry of text.split("\0")) {
    const at = entry.indexOf("=");
    if (at > 0) variables.set(entry.slice(0, at), entry.slice(at + 1));
  }
  return variables;
}

/** Names this boot of the machine: pids and start times mean nothing in another one. */
export function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
}

/** Seconds since the machine was booted; 0 without `/proc`. */
export function readUptimeSeconds(): number {
  try {
    return Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]);
  } catch {
    return 0;
  }
}
