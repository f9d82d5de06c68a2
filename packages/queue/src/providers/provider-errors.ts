import { queueError } from "../errors.ts";

/** The provider wants fewer requests; worth the same call after `details.waitMs`. */
export function rateLimited(provider: string, waitMs: number, statusCode?: number) {
  return queueError(
    "QUEUE_PROVIDER_RATE_LIMITED",
    `${provider} allows no more for ${Math.ceil(waitMs)} ms: wait, or give the chain another provider`,
    { details: { provider, waitMs, statusCode }, retryable: true },
  );
}

/** The provider is away or broke off: another try, or another provider, may help. */
export function unavailable(provider: string, what: string, cause?: unknown) {
  return queueError("QUEUE_PROVIDER_UNAVAILABLE", `${provider} ${what}: try again later`, {
    details: { provider },
    retryable: true,
    cause,
  });
}

/** The provider refuses this very request. */
export function providerFailed(provider: string, what: string, cause?: unknown) {
  return queueError("QUEUE_PROVIDER_FAILED", `${provider} ${what}: check the request and the key`, {
    details: { provider },
    cause,
  });
}
