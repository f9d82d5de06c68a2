import { MillraceError } from "@millrace/core";

/** How long a rate-limited handler's task has to wait, in milliseconds, or undefined for other errors. */
export function rateLimitWaitMs(error: unknown): number | undefined {
  if (!MillraceError.is(error) || error.code !== "QUEUE_PROVIDER_RATE_LIMITED") return undefined;
  const waitMs = Number(error.details["waitMs"]);
  return Number.isFinite(waitMs) ? waitMs : undefined;
}
