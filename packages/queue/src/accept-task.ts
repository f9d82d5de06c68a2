import { randomUUID } from "node:crypto";
import { assertNewTask } from "./check-new-task.ts";
import { queueError } from "./errors.ts";
import type { AddedTask, NewTask } from "./new-task.ts";
import type { ResolvedQueueOptions } from "./queue-options.ts";
import { validate } from "./standard-schema.ts";
import type { TaskEnvelope } from "./task.ts";
import type { TenantAllocation } from "./tenants/tenant-allocation.ts";
import { currentTraceparent, inSpan, SpanKind } from "./tracing.ts";

/** A task whose data fits the schema and whose tenant is known. */
export interface AcceptedTask {
  task: NewTask<unknown>;
  taskId: string;
  envelope: TaskEnvelope;
  allocation: TenantAllocation;
}

/**
 * Checks a new task and hands it to `store`, in a span of its own.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID`, `QUEUE_INPUT_INVALID`, `QUEUE_TENANT_UNKNOWN` and what `store` throws.
 */
export async function acceptTask(
  options: ResolvedQueueOptions,
  task: NewTask<unknown>,
  store: (accepted: AcceptedTask) => Promise<AddedTask>,
): Promise<AddedTask> {
  assertNewTask(task);
  const checked = await validate(options.input, task.data);
  if ("problems" in checked) {
    throw queueError(
      "QUEUE_INPUT_INVALID",
      `task for ${options.role} refused: ${checked.problems.join("; ")}`,
      { details: { problems: checked.problems } },
    );
  }
  const allocation = await options.tenants.allocation(task.tenantId, options.role);
  return inSpan(
    "millrace.enqueue",
    { "millrace.tenant_id": task.tenantId, "millrace.agent_role": options.role },
    (span) => {
      const taskId = task.jobId ?? randomUUID();
      span.setAttribute("millrace.task_id", taskId);
      const envelope: TaskEnvelope = {
        tenantId: task.tenantId,
        agentRole: options.role,
        data: checked.value,
        traceparent: currentTraceparent(),
        labels: task.labels,
      };
      return store({ task, taskId, envelope, allocation });
    },
    { kind: SpanKind.PRODUCER },
  );
}
