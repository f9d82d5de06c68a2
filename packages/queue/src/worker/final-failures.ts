import { UnrecoverableError } from "bullmq";

/** Why a cancelled run's signal fires. */
export const CANCELLED = "the task was cancelled";

/** How a cancelled run ends. */
export function cancelledRun(): UnrecoverableError {
  return new UnrecoverableError(`QUEUE_TASK_CANCELLED: ${CANCELLED}`);
}

/** How a task ends whose runs came to no end. */
export function startLimit(maxStarts: number): UnrecoverableError {
  return new UnrecoverableError(
    `QUEUE_START_LIMIT: started ${maxStarts} times without coming to an end: see what ends its workers, or raise maxStarts`,
  );
}

/** How a task ends that was put off too often. */
export function deferLimit(maxDefers: number): UnrecoverableError {
  return new UnrecoverableError(
    `QUEUE_DEFER_LIMIT: put off ${maxDefers} times: raise maxDefers or the limit that puts it off`,
  );
}
