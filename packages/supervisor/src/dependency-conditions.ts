import type { DependencyCondition } from "./options/process-options.ts";
import type { ManagedProcess } from "./scaling/managed-process.ts";

/** Whether what others wait for in a process has happened. */
export function isMet(process: ManagedProcess, condition: DependencyCondition): boolean {
  // Nobody waits for what was stopped on purpose.
  if (process.isStoppedByHand) return true;
  const all = [...process.instances.values()];
  if (typeof condition === "object") return hasWritten(process, condition.line);
  switch (condition) {
    case "started":
      return all.some(({ pid }) => pid !== undefined) || isCompleted(process);
    case "ready": {
      const ready = all.filter(({ state }) => state === "ready").length;
      return (process.desired > 0 && ready >= process.desired) || isCompleted(process);
    }
    case "completed":
      return isCompleted(process);
    default:
      return condition satisfies never;
  }
}

/** The condition as in "waits for db to …". */
export function sayCondition(condition: DependencyCondition): string {
  if (typeof condition !== "object") return `be ${condition}`;
  const { line } = condition;
  return `write ${typeof line === "string" ? JSON.stringify(line) : String(line)}`;
}

function isCompleted(process: ManagedProcess): boolean {
  const all = [...process.instances.values()];
  return (
    all.length > 0 &&
    all.every(({ state, lastExit }) => state === "stopped" && lastExit?.code === 0)
  );
}

function hasWritten(process: ManagedProcess, line: string | RegExp): boolean {
  return [...process.instances.values()].some(({ log }) =>
    log.ring
      .newest(Number.POSITIVE_INFINITY)
      // Unlike test(), search() doesn't mind a pattern's flags and what it matched before.
      .some(({ message }) =>
        typeof line === "string" ? message.includes(line) : message.search(line) >= 0,
      ),
  );
}
