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

/** Groups with a member that runs, as they were a moment ago in this turn of the event loop. */
let seen: { atMs: number; groups: ReadonlySet<number> } | undefined;

/**
 * Whether a group has a member that still runs. Zombies don't count: they wait for a parent that may
 * not be ours. The list of all processes is only read when the kernel says that the group exists,
 * and once a turn for all groups that began before, by `performance.now()`: fifty that end together
 * would otherwise read it fifty times.
 */
export function groupIsAlive(groupId: number, beganMs = Number.POSITIVE_INFINITY): boolean {
  if (!signalGroup(groupId, 0)) return false;
  if (seen === undefined || seen.atMs <= beganMs) {
    const atMs = performance.now();
    const pids = listPids();
    if (pids.length === 0) return true;
    seen = { atMs, groups: livingGroups(pids) };
    setImmediate(() => {
      seen = undefined;
    });
  }
  return seen.groups.has(groupId);
}

function livingGroups(pids: readonly number[]): ReadonlySet<number> {
  const groups = new Set<number>();
  for (const pid of pids) {
    const stat = readProcStat(pid);
    if (stat !== undefined && stat.state !== "Z" && stat.state !== "X") groups.add(stat.groupId);
  }
  return groups;
}
