import { queueError } from "../errors.ts";
import type { StageOutcome } from "./gate.ts";

/** The error that a refused task's caller gets, or undefined when the task is there. */
export function refusalOf(outcome: StageOutcome, tenantId: string, role: string, taskId: string) {
  const details = { tenantId, role };
  switch (outcome) {
    case "tenant-disabled":
      return queueError(
        "QUEUE_TENANT_DISABLED",
        `tenant ${tenantId} has no ${role}: change its plan`,
        {
          details,
        },
      );
    case "quota-exceeded":
      return queueError(
        "QUEUE_QUOTA_EXCEEDED",
        `tenant ${tenantId} has used up this month's ${role} tasks: raise monthlyTaskLimit or wait`,
        { details },
      );
    case "staged-full":
      return queueError(
        "QUEUE_STAGED_FULL",
        `tenant ${tenantId} has as many ${role} tasks waiting as it may: add more slowly or raise maxStaged`,
        { details, retryable: true },
      );
    case "other-tenant":
      return queueError(
        "QUEUE_JOB_ID_TAKEN",
        `task id ${taskId} is another tenant's: choose unique ids`,
        {
          details,
        },
      );
    case "tenant-moved":
      return queueError(
        "QUEUE_TENANT_MOVING",
        `tenant ${tenantId} is moving to another partition: try again; a worker ends a rebalance() that was killed`,
        { details, retryable: true },
      );
    case "staged":
    case "known":
    case "past-staging":
    case "missing":
    case "taken":
      return undefined;
    default:
      return outcome satisfies never;
  }
}
