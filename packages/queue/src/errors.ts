import { MillraceError } from "@millrace/core";

/** Codes thrown by `@millrace/queue`; listed with their way out in docs/reference/queue.md. */
export type QueueErrorCode =
  | "QUEUE_CALLBACK_TIMED_OUT"
  | "QUEUE_CLOSED"
  | "QUEUE_DEFER_LIMIT"
  | "QUEUE_ENVELOPE_INVALID"
  | "QUEUE_INPUT_INVALID"
  | "QUEUE_JOB_ID_TAKEN"
  | "QUEUE_OUTPUT_INVALID"
  | "QUEUE_PROVIDER_FAILED"
  | "QUEUE_PROVIDER_RATE_LIMITED"
  | "QUEUE_PROVIDER_UNAVAILABLE"
  | "QUEUE_QUOTA_EXCEEDED"
  | "QUEUE_REDIS_EVICTS"
  | "QUEUE_REDIS_ONLY"
  | "QUEUE_REDIS_TOO_OLD"
  | "QUEUE_STAGED_FULL"
  | "QUEUE_START_LIMIT"
  | "QUEUE_TASK_CANCELLED"
  | "QUEUE_TASK_NOT_FOUND"
  | "QUEUE_TASK_TIMED_OUT"
  | "QUEUE_TENANT_DISABLED"
  | "QUEUE_TENANT_MOVING"
  | "QUEUE_TENANT_UNKNOWN"
  | "QUEUE_URL_REFUSED";

/** A {@link MillraceError} of this package. */
export function queueError(
  code: QueueErrorCode,
  message: string,
  init: ConstructorParameters<typeof MillraceError>[2] = {},
): MillraceError<QueueErrorCode> {
  return new MillraceError(code, message, init);
}
