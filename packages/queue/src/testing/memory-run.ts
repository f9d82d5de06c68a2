import type { TaskEnvelope } from "../task.ts";
import type { TenantAllocation } from "../tenants/tenant-allocation.ts";
import { type Children, childrenOf } from "../worker/children.ts";
import { runTask } from "../worker/task-run.ts";
import type { ResolvedQueueWorkerOptions } from "../worker/worker-options.ts";
import { registerCallback } from "./awaited-callbacks.ts";
import type { KeptQueue } from "./kept-queue.ts";
import { storedCopy } from "./stored-copy.ts";
import type { TaskRecord } from "./task-record.ts";

/** One execution of a handler, its timeout by the backend's clock. */
export async function runInMemory(
  kept: KeptQueue,
  task: TaskRecord,
  run: {
    allocation: TenantAllocation;
    options: ResolvedQueueWorkerOptions;
    shutdown: AbortSignal;
  },
): Promise<unknown> {
  const cancellation = new AbortController();
  const timeout = new AbortController();
  let cancelTimer: (() => void) | undefined;
  task.abortRun = (reason) => cancellation.abort(reason);
  try {
    return await runTask({
      ...run,
      envelope: task.envelope satisfies TaskEnvelope,
      signal: cancellation.signal,
      run: {
        taskId: task.taskId,
        attemptsMade: task.attemptsMade,
        attemptsStarted: task.attemptsStarted,
        children: childrenInMemory(kept, task, run.options),
        now: () => kept.clock.now(),
        async updateProgress(value) {
          task.progress = storedCopy(value);
        },
        registerCallback: async (dispatch) => registerCallback(task, dispatch, kept.clock.now()),
        timeout(timeoutMs) {
          cancelTimer = kept.clock.at(kept.clock.now() + timeoutMs, () =>
            timeout.abort(new DOMException("the run took too long", "TimeoutError")),
          );
          return timeout.signal;
        },
      },
    });
  } finally {
    cancelTimer?.();
    task.abortRun = undefined;
  }
}

function childrenInMemory(
  kept: KeptQueue,
  task: TaskRecord,
  { queue }: ResolvedQueueWorkerOptions,
): Children {
  return childrenOf(
    {
      taskId: task.taskId,
      queueName: kept.qualifiedName,
      countUnfinished: async () => task.children.size,
      ended: async () => ({
        completed: Object.fromEntries(task.childResults),
        failed: Object.fromEntries(task.childFailures),
      }),
    },
    queue,
    task.tenantId,
  );
}
