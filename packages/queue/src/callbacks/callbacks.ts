import { createHmac } from "node:crypto";
import { parseOptions } from "@millrace/core";
import { type DeliverCallback, handleCallback } from "./callback-handler.ts";
import {
  type CallbacksOptions,
  callbacksOptionsSchema,
  type ResolvedCallbacksOptions,
} from "./callbacks-options.ts";
import { hashToken } from "./token-hash.ts";

/** What a runtime needs to call back, given to `dispatch` of `awaitCallback`. */
export interface CallbackRegistration {
  /** Where to POST the result, as JSON, signed by Standard Webhooks with the shared secret. */
  url: string;
  /** To send as `Idempotency-Key`: equal for the same dispatch after a crash, new for a new try. */
  idempotencyKey: string;
  /** When waiting ends, in Unix milliseconds. */
  deadlineAt: number;
  /** Fencing number of this execution. */
  fence: number;
}

/** Takes callbacks of external runtimes and lets their tasks go on. */
export interface Callbacks {
  /** Handles one request under `baseUrl`: fits Hono, Fastify with a raw body, or any fetch server. */
  fetch(request: Request): Promise<Response>;
  /** @internal */
  tokenFor(role: string, taskId: string, dispatchKey: string): { url: string; tokenHash: string };
}

/**
 * Creates the receiving end of callbacks. It opens nothing; the queues must be running.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options.
 */
export function createCallbacks(options: CallbacksOptions): Callbacks {
  const resolved = parseOptions(callbacksOptionsSchema, options, "createCallbacks");
  const queues = new Map(resolved.queues.map((queue) => [queue.role, queue]));
  const deliverTo = (role: string): DeliverCallback | undefined => {
    const queue = queues.get(role);
    return (
      queue &&
      (async (callback) => {
        const partition = await queue.partitionHolding(callback.jobId);
        return partition ? partition.gate.resume(callback) : { outcome: "missing" };
      })
    );
  };
  return {
    fetch: (request) => handleCallback(request, resolved, deliverTo, Date.now()),
    tokenFor: tokenMaker(resolved),
  };
}

/** Makes the tokens of dispatches. */
export function tokenMaker({
  secret,
  baseUrl,
}: Pick<ResolvedCallbacksOptions, "secret" | "baseUrl">): Callbacks["tokenFor"] {
  return (role, taskId, dispatchKey) => {
    // Derived, not drawn: a dispatch that is repeated after a crash carries the token that the
    // runtime, which knows the idempotency key, was given the first time.
    const token = createHmac("sha256", secret)
      .update(`token\n${role}\n${taskId}\n${dispatchKey}`)
      .digest("base64url");
    const path = [role, taskId, dispatchKey].map(encodeURIComponent).join("/");
    return { url: `${baseUrl}/${path}?token=${token}`, tokenHash: hashToken(token) };
  };
}
