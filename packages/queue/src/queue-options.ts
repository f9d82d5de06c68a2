import type { Logger, MetricsRegistry } from "@millrace/core";
import * as z from "zod";
import { LONGEST_TIMER_MS } from "./longest-timer.ts";
import type { RedisConnectionInput } from "./redis-client.ts";
import type { StandardSchema } from "./standard-schema.ts";
import type { TenantStore } from "./tenants/tenant-store.ts";

/** Options of {@link createQueue}. */
export interface QueueOptions<Input, Output> {
  /** An ioredis client, which stays the caller's, or options for one of our own. */
  connection: RedisConnectionInput;
  /** Agent role; the queue is named `agent__<role>`. */
  role: string;
  /** Checks what is added and what is taken out to run: any Standard Schema, zod's for example. */
  input?: StandardSchema<Input> | undefined;
  /** Checks what a handler returns. */
  output?: StandardSchema<Output> | undefined;
  /** Who may do how much. */
  tenants: TenantStore;
  /** First part of the queue's keys. @default "q" */
  prefix?: string | undefined;
  /**
   * Hash tag in Redis Cluster: `per-queue` spreads roles over shards, `shared` keeps them together,
   * which flows across roles need. @default "per-queue"
   */
  tag?: "per-queue" | "shared" | undefined;
  /**
   * Parts that a role too hot for one shard is split into, `agent__<role>#0` and on. A tenant lives in one
   * of them, so that its cap stays exact; see {@link Queue.rebalance} for changing the number.
   *
   * @default 1, which does not split
   */
  partitions?: number | undefined;
  /** Tries per task, the first included. @default 3 */
  attempts?: number | undefined;
  /** First pause before a retry, doubled each time, in milliseconds. @default 1_000 */
  retryBackoffMs?: number | undefined;
  /** How long finished tasks stay readable, in seconds. @default 86_400 */
  keepCompletedSeconds?: number | undefined;
  /** How long failed tasks stay in the dead letters, in seconds. @default 2_592_000 (30 days) */
  keepFailedSeconds?: number | undefined;
  /**
   * Of 21 admissions while all three classes have work, how many each gets. `"strict"` always serves
   * the most urgent one first. @default { urgent: 16, normal: 4, batch: 1 }
   */
  classWeights?: "strict" | { urgent: number; normal: number; batch: number } | undefined;
  /** Start even if Redis may evict jobs under memory pressure. @default false */
  allowEviction?: boolean | undefined;
  /** How often depths are read for metrics, in milliseconds, 0 never. @default 10_000 */
  depthIntervalMs?: number | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
  /** @default the process's prom-client registry */
  metrics?: MetricsRegistry | undefined;
}

const weight = z.number().positive();
const object = <Shape extends object>(expected: string) =>
  z.custom<Shape>((value) => typeof value === "object" && value !== null, `expected ${expected}`);

/** Validates {@link QueueOptions} and fills in defaults. */
export const queueOptionsSchema = z.strictObject({
  connection: object<RedisConnectionInput>("an ioredis client or its options"),
  role: z.string().regex(/^[a-z0-9][a-z0-9_-]*$/i, "expected letters, digits, - and _"),
  input: z
    .custom<StandardSchema<unknown>>(isStandardSchema, "expected a Standard Schema")
    .optional(),
  output: z
    .custom<StandardSchema<unknown>>(isStandardSchema, "expected a Standard Schema")
    .optional(),
  tenants: object<TenantStore>("what createTenantStore returned"),
  prefix: z.string().min(1).default("q"),
  tag: z.enum(["per-queue", "shared"]).default("per-queue"),
  partitions: z.int().positive().max(256).default(1),
  attempts: z.int().positive().default(3),
  retryBackoffMs: z.int().nonnegative().default(1_000),
  keepCompletedSeconds: z.int().nonnegative().default(86_400),
  keepFailedSeconds: z.int().nonnegative().default(2_592_000),
  classWeights: z
    .union([z.literal("strict"), z.strictObject({ urgent: weight, normal: weight, batch: weight })])
    .default({ urgent: 16, normal: 4, batch: 1 }),
  allowEviction: z.boolean().default(false),
  depthIntervalMs: z.int().nonnegative().max(LONGEST_TIMER_MS).default(10_000),
  logger: z.custom<Logger>().optional(),
  metrics: z.custom<MetricsRegistry>().optional(),
});

export type ResolvedQueueOptions = z.output<typeof queueOptionsSchema>;

function isStandardSchema(value: unknown): boolean {
  // Some validators are functions with properties.
  return (typeof value === "object" || typeof value === "function") && value !== null
    ? "~standard" in value
    : false;
}
