import { type Logger, MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";
import { type ApiAnswer, answerJson } from "./api-message.ts";

/** A refusal with the status it is answered with. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Record<string, string>;

  constructor(status: number, code: string, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

const STATUS_BY_CODE: Partial<Record<SupervisorErrorCode, number>> = {
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
export function answerError(error: unknown, path: string, logger: Logger): ApiAnswer {
  if (error instanceof ApiError) {
    const { code, message, status, headers } = error;
    const answer = answerJson({ error: { code, message, details: {} } }, status);
    return { ...answer, headers: { ...answer.headers, ...headers } };
  }
  if (MillraceError.is(error)) {
    const status =
      STATUS_BY_CODE[error.code as SupervisorErrorCode] ??
      (error.code === "CONFIG_INVALID" ? 400 : 500);
    if (status !== 500) {
      const { code, message, details } = error;
      return answerJson({ error: { code, message, details } }, status);
    }
  }
  logger.error({ err: error, path }, "a management API request failed");
  return answerJson(
    { error: { code: "INTERNAL", message: "internal error, see the log", details: {} } },
    500,
  );
}

/** The refusal of a body that is too large. */
export function bodyTooLarge(maxBytes: number): ApiError {
  return new ApiError(413, "BODY_TOO_LARGE", `the body is over ${maxBytes} bytes`);
}
