import { messageOf, MillraceError } from "@millrace/core";
import { alertNotSent } from "../alert.ts";

/** Answers that say that this very message is at fault: to send it again would not help. */
const PERMANENT = new Set([400, 413, 422]);
/** Waits longer than this are not believed, in milliseconds. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/**
 * POSTs a body and takes any 2xx for an answer. Redirects are not followed: a signed body goes to
 * whom it is for, or to nobody.
 */
export async function postJson(
  url: string,
  body: string,
  { headers, signal }: { headers?: object; signal: AbortSignal },
): Promise<void> {
  // Loaded only by those who use it.
  const { request } = await import("undici");
  const { host } = new URL(url);
  try {
    const response = await request(url, {
      method: "POST",
      body,
      signal,
      headers: { "content-type": "application/json", ...headers },
      // A receiver that restarts must not find the next alert on a connection that it has closed.
      reset: true,
    });
    // What it says is of no interest, and may be endless; breaking it off is an error of its stream.
    response.body.on("error", () => {}).destroy();
    const { statusCode } = response;
    if (statusCode >= 200 && statusCode < 300) return;
    throw alertNotSent(`${host} answered ${statusCode}`, {
      isPermanent: PERMANENT.has(statusCode),
      retryAfterMs: retryAfterMs(response.headers["retry-after"]),
    });
  } catch (error) {
    if (MillraceError.is(error)) throw error;
    throw alertNotSent(`${host}: ${messageOf(error)}`, { cause: error });
  }
}

/** `Retry-After` in seconds or as a date (RFC 9110, 10.2.3). */
function retryAfterMs(header: string | string[] | undefined): number | undefined {
  if (typeof header !== "string") return undefined;
  const seconds = Number(header);
  const waitMs = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(header) - Date.now();
  return waitMs > 0 ? Math.min(waitMs, MAX_RETRY_AFTER_MS) : undefined;
}
