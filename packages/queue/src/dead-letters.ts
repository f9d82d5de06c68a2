import type { Job, Queue as BullmqQueue } from "bullmq";
import { queueError } from "./errors.ts";
import { isTaskEnvelope } from "./task.ts";

/** A task that failed for good. */
export interface DeadLetter {
  taskId: string;
  tenantId: string;
  data: unknown;
  reason: string;
  attemptsMade: number;
  /** When it failed, in Unix milliseconds. */
  failedAt: number;
}

/** Failed tasks: to look at, to run again, to throw away. */
export interface DeadLetters {
  /** Newest first; of one tenant when `tenantId` is given. @param options.limit @default 100 */
  list(options?: { tenantId?: string; limit?: number }): Promise<DeadLetter[]>;
  /**
   * Runs a task again under its own id, tenant, priority and trace, with fresh attempts. It goes
   * through the gate and is not counted against the quota again.
   *
   * @throws {@link MillraceError} `QUEUE_TASK_NOT_FOUND`.
   */
  redrive(taskId: string): Promise<void>;
  /** @throws {@link MillraceError} `QUEUE_TASK_NOT_FOUND`. */
  discard(taskId: string): Promise<void>;
}

const PAGE = 200;

export function createDeadLetters(queue: () => BullmqQueue): DeadLetters {
  const find = async (taskId: string): Promise<Job> => {
    const job = await queue().getJob(taskId);
    if (job && (await job.isFailed())) return job;
    throw queueError(
      "QUEUE_TASK_NOT_FOUND",
      `no failed task ${taskId}: list() shows what there is`,
      {
        details: { taskId },
      },
    );
  };
  return {
    async list({ tenantId, limit = 100 } = {}) {
      const letters: DeadLetter[] = [];
      for (let from = 0; letters.length < limit; from += PAGE) {
        const jobs = await queue().getFailed(from, from + PAGE - 1);
        for (const job of jobs) {
          const letter = toDeadLetter(job);
          if (letter && (tenantId === undefined || letter.tenantId === tenantId))
            letters.push(letter);
        }
        if (jobs.length < PAGE) break;
      }
      return letters.slice(0, limit);
    },
    async redrive(taskId) {
      const job = await find(taskId);
      // The start count goes on: it fences one execution against another.
      await job.retry("failed", { resetAttemptsMade: true });
    },
    async discard(taskId) {
      const job = await find(taskId);
      await job.remove();
    },
  };
}

function toDeadLetter(job: Job): DeadLetter | undefined {
  const data: unknown = job.data;
  if (job.id === undefined || !isTaskEnvelope(data)) return undefined;
  return {
    taskId: job.id,
    tenantId: data.tenantId,
    data: data.data,
    reason: job.failedReason,
    attemptsMade: job.attemptsMade,
    failedAt: job.finishedOn ?? 0,
  };
}
