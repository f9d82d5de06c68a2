/**
 * What a worker thread takes from core: none of it loads zod, pino or prom-client, which would be 6 MiB in
 * each of them. An application imports `@millrace/core` and `@millrace/core/buffer` instead.
 *
 * @example
 * ```ts
 * import { sleep } from "@millrace/core/thread";
 *
 * await sleep(10);
 * ```
 *
 * @module
 */
export { Backoff, type BackoffOptions } from "./backoff.ts";
export { type CoreErrorCode, messageOf, MillraceError, type MillraceErrorInit } from "./errors.ts";
export { openPayload, type OtlpKind, type PayloadKind } from "./payload-envelope.ts";
export { sleep } from "./sleep.ts";
export {
  type ClaimedBatch,
  type ClaimLimits,
  ClaimSession,
  type ClaimSessionOptions,
} from "./buffer/claims.ts";
export type { BufferedPayload, PayloadList } from "./buffer/grouped-payloads.ts";
