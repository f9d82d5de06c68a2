import { type Logger, MillraceError } from "@millrace/core";
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { SupervisorErrorCode } from "../errors.ts";

/** A refusal with the status it is answered with. */
export class ApiError extends Error {
  readonly status: ContentfulStatusCode;
  readonly code: string;

  constructor(status: ContentfulStatusCode, code: string, message: string) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

const STATUS_BY_CODE: Partial<Record<SupervisorErrorCode, ContentfulStatusCode>> = {
  SUPERVISOR_PROCESS_UNKNOWN: 404,
  SUPERVISOR_INSTANCE_UNKNOWN: 404,
  SUPERVISOR_OPERATION_UNKNOWN: 404,
  SUPERVISOR_SCALE_OUT_OF_RANGE: 422,
  SUPERVISOR_NOT_SCHEDULED: 409,
  SUPERVISOR_NOTHING_TO_ROLL_BACK: 409,
  SUPERVISOR_CANARY_RUNNING: 409,
  SUPERVISOR_NOT_RUNNING: 409,
};

/** The answer to anything that was thrown: what callers did wrong in words, what we did in a log. */
export function answerError(context: Context, error: unknown, logger: Logger): Response {
  if (error instanceof ApiError) {
    const { code, message, status } = error;
    return context.json({ error: { code, message, details: {} } }, status);
  }
  if (MillraceError.is(error)) {
    const status =
      STATUS_BY_CODE[error.code as SupervisorErrorCode] ??
      (error.code === "CONFIG_INVALID" ? 400 : 500);
    if (status !== 500) {
      const { code, message, details } = error;
      return context.json({ error: { code, message, details } }, status);
    }
  }
  logger.error({ err: error, path: context.req.path }, "a management API request failed");
  return context.json(
    { error: { code: "INTERNAL", message: "internal error, see the log", details: {} } },
    500,
  );
}

/** The refusal of a body that is too large. */
export function bodyTooLarge(maxBytes: number): ApiError {
  return new ApiError(413, "BODY_TOO_LARGE", `the body is over ${maxBytes} bytes`);
}
