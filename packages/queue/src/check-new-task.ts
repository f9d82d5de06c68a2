import { type ConfigProblem, configInvalid } from "@millrace/core";
import type { NewTask } from "./new-task.ts";
import { PRIORITIES } from "./task.ts";

/** What BullMQ calls its own keys of a queue: a task of such a name would be stored over one of them. */
const BULLMQ_KEYS: ReadonlySet<string> = new Set([
  "active",
  "completed",
  "de",
  "delayed",
  "events",
  "failed",
  "id",
  "limiter",
  "marker",
  "meta",
  "paused",
  "pc",
  "prioritized",
  "repeat",
  "stalled",
  "stalled-check",
  "wait",
  "waiting-children",
]);

/** Whether a task can have this id: anything else names another key of the queue, or none. */
export function isTaskId(taskId: unknown): taskId is string {
  if (typeof taskId !== "string") return false;
  return taskId !== "" && !taskId.includes(":") && !BULLMQ_KEYS.has(taskId);
}

/** @throws {@link MillraceError} `CONFIG_INVALID` for a task that could not be kept as it says. */
export function assertNewTask(task: NewTask<unknown>): void {
  const { jobId, priority, delayMs, attempts, deduplication } = task;
  const problems: ConfigProblem[] = [];
  const expect = (isMet: boolean, path: string, expected: string) => {
    if (!isMet) problems.push({ path, problem: `expected ${expected}` });
  };
  if (jobId !== undefined) {
    expect(
      isTaskId(jobId) && !/^-?\d+$/.test(jobId),
      "jobId",
      "a text without a colon that is no whole number and none of BullMQ's own keys, such as meta",
    );
  }
  if (priority !== undefined) {
    expect(Object.hasOwn(PRIORITIES, priority), "priority", Object.keys(PRIORITIES).join(", "));
  }
  if (delayMs !== undefined) expect(Number.isFinite(delayMs), "delayMs", "a finite number");
  if (attempts !== undefined) expect(isPositive(attempts), "attempts", "a whole number above 0");
  if (deduplication !== undefined) {
    expect(typeof deduplication.key === "string", "deduplication.key", "a text");
    const { windowMs } = deduplication;
    expect(isPositive(windowMs), "deduplication.windowMs", "a whole number above 0");
  }
  if (problems.length > 0) throw configInvalid("queue.add", problems);
}

function isPositive(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0;
}
