import type { Job, Queue as BullmqQueue } from "bullmq";
import { isTaskId } from "./check-new-task.ts";
import { queueError } from "./errors.ts";
import { isTaskEnvelope, redriven, type TaskEnvelope } from "./task.ts";

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

/** Where failed tasks are, and how one comes to a partition that its tenant has moved to since. */
export interface DeadLetterSource {
  partitions: () => readonly BullmqQueue[];
  /** Runs a failed task again where its tenant lives now. @returns false when it is there already. */
  adopt: (job: Job) => Promise<boolean>;
  /** Takes off a failed task what its runs left, and stores its data. @returns false when it is no longer failed. */
  renew: (job: Job, data: TaskEnvelope) => Promise<boolean>;
}

export function createDeadLetters({ partitions, adopt, renew }: DeadLetterSource): DeadLetters {
  const find = async (taskId: string): Promise<Job> => {
    for (const queue of isTaskId(taskId) ? partitions() : []) {
      const job = await queue.getJob(taskId);
      if (job && (await job.isFailed())) return job;
    }
    throw noDeadLetter(taskId);
  };
  return {
    async list({ tenantId, limit = 100 } = {}) {
      const letters = await Promise.all(
        partitions().map((queue) => newest(queue, tenantId, limit)),
      );
      return letters
        .flat()
        .toSorted((one, other) => other.failedAt - one.failedAt)
        .slice(0, limit);
    },
    async redrive(taskId) {
      const job = await find(taskId);
      const envelope: unknown = job.data;
      if (!isTaskEnvelope(envelope)) throw noDeadLetter(taskId);
      const data = redriven(envelope);
      if (!(await renew(job, data))) throw noDeadLetter(taskId);
      job.data = data;
      if (await adopt(job)) return;
      // The start count goes on: it fences one execution against another.
      await job.retry("failed", { resetAttemptsMade: true }).catch(async (error: unknown) => {
        throw (await job.isFailed()) ? error : noDeadLetter(taskId);
      });
    },
    async discard(taskId) {
      const job = await find(taskId);
      await job.remove();
    },
  };
}

/** The error for a task that is not among the failed. */
export function noDeadLetter(taskId: string) {
  return queueError(
    "QUEUE_TASK_NOT_FOUND",
    `no failed task ${taskId}: list() shows what there is`,
    { details: { taskId } },
  );
}

async function newest(
  queue: BullmqQueue,
  tenantId: string | undefined,
  limit: number,
): Promise<DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for (let from = 0; letters.length < limit; from += PAGE) {
    const jobs = await queue.getFailed(from, from + PAGE - 1);
    for (const job of jobs) {
      const letter = toDeadLetter(job);
      if (letter && (tenantId === undefined || letter.tenantId === tenantId)) letters.push(letter);
    }
    if (jobs.length < PAGE) break;
  }
  return letters;
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
