import { listPids, readChildPids, readProcStat } from "./proc-stat.ts";

/** Sends a signal to every process of a group; `false` when there is none. */
export function signalGroup(groupId: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-groupId, signal);
    return true;
  } catch {
    return false;
  }
}

/** Sends a signal to a process and, where `/proc` names them, to all that it has started. */
export function signalTree(pid: number, signal: NodeJS.Signals): void {
  const descendants = readChildPids(pid);
  for (const child of descendants) descendants.push(...readChildPids(child));
  for (const one of [pid, ...descendants]) {
    try {
      process.kill(one, signal);
    } catch {
      // It has ended meanwhile.
    }
  }
}

/**
 * Whether a group has a member that still runs. Zombies don't count: they wait for a parent that may
 * not be ours. The list of all processes is only read when the kernel says that the group exists.
 */
export function groupIsAlive(groupId: number): boolean {
  if (!signalGroup(groupId, 0)) return false;
  const pids = listPids();
  if (pids.length === 0) return true;
  return pids.some((pid) => {
    const stat = readProcStat(pid);
    return stat?.groupId === groupId && stat.state !== "Z" && stat.state !== "X";
  });
}
