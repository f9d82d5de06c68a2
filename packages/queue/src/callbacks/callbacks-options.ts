import type { Logger } from "@millrace/core";
import * as z from "zod";
import type { Queue } from "../queue.ts";

/** Options of {@link createCallbacks}. */
export interface CallbacksOptions {
  /** Queues whose tasks await callbacks; each is found by its role. */
  queues: readonly Queue[];
  /**
   * Shared with whoever calls back, at least 24 bytes; `whsec_` and base64 as in Standard Webhooks, or
   * plain text.
   */
  secret: string;
  /** Where the handler is mounted, without a slash at its end: `https://api.example.com/callbacks`. */
  baseUrl: string;
  /** Largest payload taken, in bytes. @default 1 MiB */
  maxBodyBytes?: number | undefined;
  /** How old or how far ahead a signature may be, in milliseconds. @default 300_000 */
  toleranceMs?: number | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
}

export const callbacksOptionsSchema = z.strictObject({
  queues: z.array(z.custom<Queue>((value) => typeof value === "object" && value !== null)).min(1),
  secret: z.string().min(24).meta({ secret: true }),
  baseUrl: z.url().refine((url) => !url.endsWith("/"), "must not end with a slash"),
  maxBodyBytes: z
    .int()
    .positive()
    .default(1024 * 1024),
  toleranceMs: z.int().positive().default(300_000),
  logger: z.custom<Logger>().optional(),
});

export type ResolvedCallbacksOptions = z.output<typeof callbacksOptionsSchema>;
