import { type DeadLetter, type DeadLetters, noDeadLetter } from "../dead-letters.ts";
import type { KeptQueue } from "./kept-queue.ts";
import { storedCopy } from "./stored-copy.ts";
import type { TaskRecord } from "./task-record.ts";

/** Failed tasks of a queue in memory. */
export function memoryDeadLetters(queue: () => KeptQueue): DeadLetters {
  const find = (taskId: string): TaskRecord => {
    const task = queue().tasks.get(taskId);
    if (task?.state === "failed") return task;
    throw noDeadLetter(taskId);
  };
  return {
    async list({ tenantId, limit = 100 } = {}) {
      const failed = [...queue().tasks.values()].filter(
        (task) => task.state === "failed" && (tenantId === undefined || task.tenantId === tenantId),
      );
      return failed
        .map(toDeadLetter)
        .toSorted((one, other) => other.failedAt - one.failedAt)
        .slice(0, limit);
    },
    async redrive(taskId) {
      queue().redrive(find(taskId));
    },
    async discard(taskId) {
      queue().remove(find(taskId));
    },
  };
}

function toDeadLetter(task: TaskRecord): DeadLetter {
  return {
    taskId: task.taskId,
    tenantId: task.tenantId,
    data: storedCopy(task.envelope.data),
    reason: task.failedReason ?? "",
    attemptsMade: task.attemptsMade,
    failedAt: task.finishedAt ?? 0,
  };
}
