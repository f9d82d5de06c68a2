import { messageOf, MillraceError, parseOptions, signWebhook } from "@millrace/core";
import { request as httpRequest } from "undici";
import * as z from "zod";
import type { CallbackRegistration } from "../callbacks/callbacks.ts";
import { LONGEST_TIMER_MS } from "../longest-timer.ts";
import { providerFailed, rateLimited, unavailable } from "../providers/provider-errors.ts";
import { retryAfterMs } from "../providers/retry-after.ts";
import { assertPublicUrl, createGuardedAgent, type GuardedAgentOptions } from "./guarded-agent.ts";

/** Options of {@link createWebhookAdapter}. */
export interface WebhookAdapterOptions {
  /** Shared with the receivers; signs by Standard Webhooks. At least 24 bytes. */
  secret: string;
  /** Hosts that may be at private addresses; all others must be public. @default none */
  allowedHosts?: string[] | undefined;
  /** Time for the whole request, in milliseconds. @default 10_000 */
  timeoutMs?: number | undefined;
  /** Resolves a name to all its addresses, for tests. @default node:dns */
  resolveName?: GuardedAgentOptions["resolveName"];
}

const webhookAdapterOptionsSchema = z.strictObject({
  secret: z.string().min(24).meta({ secret: true }),
  allowedHosts: z.array(z.string()).default([]),
  timeoutMs: z.int().positive().max(LONGEST_TIMER_MS).default(10_000),
  resolveName: z.custom<NonNullable<GuardedAgentOptions["resolveName"]>>().optional(),
});

/** Hands tasks to tenants' own runtimes. */
export interface WebhookAdapter {
  /**
   * POSTs `{ payload, callback }` and returns once the receiver has accepted it with a 2xx. Redirects are
   * not followed.
   *
   * @throws {@link MillraceError} `QUEUE_URL_REFUSED` for what is no URL or not public,
   * `QUEUE_PROVIDER_RATE_LIMITED`, `QUEUE_PROVIDER_UNAVAILABLE`, `QUEUE_PROVIDER_FAILED`.
   */
  dispatch(
    url: string,
    payload: unknown,
    options: { registration: CallbackRegistration; signal?: AbortSignal | undefined },
  ): Promise<void>;
  close(): Promise<void>;
}

/**
 * Creates the adapter for runtimes that tenants run: signed requests that cannot be turned against the
 * private network.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options.
 */
export function createWebhookAdapter(options: WebhookAdapterOptions): WebhookAdapter {
  const resolved = parseOptions(webhookAdapterOptionsSchema, options, "createWebhookAdapter");
  // As URLs have them: in lower case, and here without the brackets of IPv6.
  const allowedHosts = new Set(
    resolved.allowedHosts.map((host) => host.toLowerCase().replaceAll(/^\[|\]$/g, "")),
  );
  const agent = createGuardedAgent({
    allowedHosts,
    connectTimeoutMs: resolved.timeoutMs,
    resolveName: resolved.resolveName,
  });
  return {
    async dispatch(url, payload, { registration, signal }) {
      assertPublicUrl(url, allowedHosts);
      const body = JSON.stringify({ payload, callback: registration });
      const { idempotencyKey } = registration;
      const timeout = AbortSignal.timeout(resolved.timeoutMs);
      try {
        const response = await httpRequest(url, {
          dispatcher: agent,
          method: "POST",
          body,
          signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
          headers: {
            "content-type": "application/json",
            "idempotency-key": idempotencyKey,
            ...signWebhook(resolved.secret, { id: idempotencyKey, body, at: Date.now() }),
          },
        });
        // What it says is of no interest, and may be endless; breaking it off is an error of its stream.
        response.body.on("error", () => {}).destroy();
        assertAccepted(response.statusCode, response.headers);
      } catch (error) {
        if (MillraceError.is(error)) throw error;
        if (signal?.aborted) throw signal.reason;
        throw unavailable("webhook", messageOf(error), error);
      }
    },
    close: () => agent.destroy(),
  };
}

function assertAccepted(
  statusCode: number,
  headers: Record<string, string | string[] | undefined>,
): void {
  if (statusCode >= 200 && statusCode < 300) return;
  if (statusCode === 429)
    throw rateLimited("webhook", retryAfterMs(headers, Date.now()) ?? 5_000, 429);
  if (statusCode === 408 || statusCode >= 500)
    throw unavailable("webhook", `answered ${statusCode}`);
  throw providerFailed("webhook", `answered ${statusCode}`);
}
