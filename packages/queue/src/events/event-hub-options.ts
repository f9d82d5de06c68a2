import type { Logger, MetricsRegistry } from "@millrace/core";
import * as z from "zod";
import { LONGEST_TIMER_MS } from "../longest-timer.ts";
import type { RedisConnectionInput } from "../redis-client.ts";

/** Options of {@link createEventHub}. */
export interface EventHubOptions {
  /** An ioredis client, which stays the caller's, or options for one of our own. */
  connection: RedisConnectionInput;
  /** First part of the hub's keys and channels. @default "q" */
  prefix?: string | undefined;
  /** Events kept per tenant for clients that come back, about. @default 1_000 */
  keepEvents?: number | undefined;
  /** After how long without an event a tenant's are forgotten, in seconds. @default 86_400 */
  keepSeconds?: number | undefined;
  /** Bytes that may wait for one client before it is dropped. @default 1 MiB */
  maxClientBytes?: number | undefined;
  /** How often a comment keeps connections alive, in milliseconds. @default 15_000 */
  heartbeatMs?: number | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
  /** @default the process's prom-client registry */
  metrics?: MetricsRegistry | undefined;
}

export const eventHubOptionsSchema = z.strictObject({
  connection: z.custom<RedisConnectionInput>(
    (value) => typeof value === "object" && value !== null,
    "expected an ioredis client or its options",
  ),
  prefix: z.string().min(1).default("q"),
  keepEvents: z.int().positive().default(1_000),
  keepSeconds: z.int().positive().default(86_400),
  maxClientBytes: z
    .int()
    .positive()
    .default(1024 * 1024),
  heartbeatMs: z.int().positive().max(LONGEST_TIMER_MS).default(15_000),
  logger: z.custom<Logger>().optional(),
  metrics: z.custom<MetricsRegistry>().optional(),
});

export type ResolvedEventHubOptions = z.output<typeof eventHubOptionsSchema>;
