import type { Logger } from "@millrace/core";
import type { NewTask } from "./new-task.ts";
import type { Queue } from "./queue.ts";

/**
 * Adds the task of one tick. Its id is made of the schedule and the tick, so that of several schedulers
 * that see the tick one adds it. A refusal, by a quota for one, is logged and ends the tick.
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
    logger.warn({ err: error, scheduleId, tenantId: task.tenantId }, "scheduled task refused");
  }
}
