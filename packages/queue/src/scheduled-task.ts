import { type Logger, MillraceError } from "@millrace/core";
import type { NewTask } from "./new-task.ts";
import type { Queue } from "./queue.ts";

/** What passes: the same task is taken a moment later, here or by another process. */
const PASSING: ReadonlySet<string> = new Set(["QUEUE_CLOSED", "QUEUE_TENANT_MOVING"]);

/**
 * Adds the task of one tick. Its id is made of the schedule and the tick, so that of several schedulers
 * that see the tick one adds it. A refusal, by a quota for one, is logged and ends the tick.
 *
 * @throws what else keeps the task from being added, such as a Redis that is away: try again.
 */
export async function addScheduled<Input>(
  queue: Pick<Queue<Input>, "add">,
  tick: { scheduleId: string; dueAt: number; task: Omit<NewTask<Input>, "jobId"> },
  logger: Logger,
): Promise<void> {
  const { scheduleId, dueAt, task } = tick;
  try {
    await queue.add({ ...task, jobId: `sched|${scheduleId}|${dueAt}` });
  } catch (error) {
    const isRefused = MillraceError.is(error) && !PASSING.has(error.code);
    const outcome = isRefused ? "refused" : "not added yet";
    logger.warn({ err: error, scheduleId, tenantId: task.tenantId }, `scheduled task ${outcome}`);
    if (!isRefused) throw error;
  }
}
