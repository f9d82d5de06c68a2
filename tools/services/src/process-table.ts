import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Whether a process with this id exists and is more than a zombie. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const row = readRow(pid);
  return row !== undefined && row.state !== "Z";
}

/** The ids of the processes whose parent is `pid`. */
export function childrenOf(pid: number): number[] {
  if (process.platform !== "linux") {
    return processStatus(["-A", "-o", "pid=,ppid="])
      .map((line) => line.trim().split(/\s+/).map(Number))
      .filter(([, parent]) => parent === pid)
      .map(([child]) => child as number);
  }
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => readRow(candidate)?.parent === pid);
}

/** The name of the program that a process runs, without its folder, or `undefined` when there is no such process. */
export function programOf(pid: number): string | undefined {
  return readRow(pid)?.program;
}

/** The working folder of a process, where the system tells it. */
export function workingFolderOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

/** Sends a signal and says whether there was a process to receive it. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

interface Row {
  readonly program: string;
  readonly state: string;
  readonly parent: number;
}

function readRow(pid: number): Row | undefined {
  // Linux containers often lack `ps`, other systems lack /proc.
  return process.platform === "linux" ? readProcStat(pid) : readProcessStatus(pid);
}

function readProcStat(pid: number): Row | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The name is in parentheses and may itself hold parentheses and spaces: proc_pid_stat(5).
  const nameEnd = stat.lastIndexOf(")");
  const [state = "", parent = ""] = stat.slice(nameEnd + 2).split(" ");
  return { program: stat.slice(stat.indexOf("(") + 1, nameEnd), state, parent: Number(parent) };
}

function readProcessStatus(pid: number): Row | undefined {
  const [line] = processStatus(["-o", "ppid=,stat=,comm=", "-p", String(pid)]);
  const match = /^\s*(\d+)\s+(\S)\S*\s+(.+)$/.exec(line ?? "");
  if (match === null) return undefined;
  const [, parent = "", state = "", command = ""] = match;
  return { program: command.slice(command.lastIndexOf("/") + 1), state, parent: Number(parent) };
}

function processStatus(commandArguments: readonly string[]): string[] {
  const { stdout } = spawnSync("ps", commandArguments, { encoding: "utf8" });
  return (stdout ?? "").split("\n").filter((line) => line.trim() !== "");
}
