import type { Logger, MetricsRegistry } from "@millrace/core";
import type { DurableBuffer } from "@millrace/core/buffer";
import * as z from "zod";
import { type PostgresDestination, postgresDestinationSchema } from "./postgres.ts";
import type { DrainSchema } from "./schema/drain-schema.ts";
import type { TableDefinition } from "./schema/table.ts";

/** What the pool needs of a buffer. */
export type DrainBuffer = Pick<DurableBuffer, "options" | "registerOwner" | "state" | "status">;

/** Options of {@link createDrainPool}. */
export interface DrainPoolOptions {
  /** The buffer to drain; started before the pool, closed after it. */
  buffer: DrainBuffer;
  /** Where records land; see `postgres`. */
  destination: PostgresDestination;
  /** Which records land in which tables: `nightwatch()`, or tables of your own. */
  schema: DrainSchema | TableDefinition[];
  /** Worker threads, each with one connection. @default 2 */
  workers?: number | undefined;
  /**
   * `adaptive`: how many workers land at a time, and how large their batches are, follows the
   * throughput and latency that PostgreSQL gives; it backs off at lock timeouts and refused
   * connections. `fixed`: always `maxConnections` workers and batches of `batchRows`.
   *
   * @default "adaptive"
   */
  concurrency?: "adaptive" | "fixed" | undefined;
  /**
   * Workers that may land, and so hold a connection, at a time, at most; from 1 to `workers`.
   *
   * @default `workers`
   */
  maxConnections?: number | undefined;
  /**
   * Gives way to others who use the database: one worker at first and at most half of `maxConnections`,
   * shorter transactions, rests between batches that are as long as landing took, and it backs off at half
   * of the rise in latency. On Linux the worker threads get a nice value of 10. Needs `concurrency: "adaptive"`.
   *
   * @default false
   */
  polite?: boolean | undefined;
  /** Payloads in one batch at most. @default 5_000 */
  batchRows?: number | undefined;
  /** Payload bytes in one batch at most, a single larger payload apart. @default 8 MiB */
  batchBytes?: number | undefined;
  /** How long a batch that is not full may wait for more, in milliseconds. @default 200 */
  batchWaitMs?: number | undefined;
  /** What a gzip payload may inflate to, in bytes, up to 256 MiB; more is a dead letter. @default 64 MiB */
  maxInflatedBytes?: number | undefined;
  /**
   * Limit of each worker thread's heap, in MiB, from 64. A payload may have a sixteenth of it, inflated;
   * more is a dead letter.
   *
   * @default 1_024
   */
  workerHeapMib?: number | undefined;
  /**
   * Silence after which a worker counts as hung and is replaced, in milliseconds, from 10,000.
   *
   * @default 60_000
   */
  workerSilenceMs?: number | undefined;
  /** Rows in the buffer and no commit for this long make the pool unhealthy, in milliseconds. @default 30_000 */
  stallMs?: number | undefined;
  /**
   * Rows of one table that PostgreSQL may refuse in a row, for one cause, before the table's circuit
   * breaker opens and its rows become dead letters together instead of one by one.
   *
   * @default 50
   */
  breakerRows?: number | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
  /** @default the process's prom-client registry */
  metrics?: MetricsRegistry | undefined;
}

const MIB = 1024 * 1024;

const fields = z.strictObject({
  buffer: z.custom<DrainBuffer>(
    (value) => typeof value === "object" && value !== null && "registerOwner" in value,
    "expected a buffer of createBuffer",
  ),
  destination: postgresDestinationSchema,
  schema: z.custom<DrainSchema | TableDefinition[]>(
    (value) => typeof value === "object" && value !== null,
    "expected a schema such as nightwatch(), or an array of defineTable(...)",
  ),
  workers: z.int().min(1).max(64).default(2),
  concurrency: z.enum(["adaptive", "fixed"]).default("adaptive"),
  maxConnections: z.int().min(1).max(64).optional(),
  polite: z.boolean().default(false),
  batchRows: z.int().positive().max(100_000).default(5_000),
  batchBytes: z
    .int()
    .positive()
    .default(8 * MIB),
  batchWaitMs: z.int().nonnegative().default(200),
  maxInflatedBytes: z
    .int()
    .positive()
    .max(256 * MIB)
    .default(64 * MIB),
  workerHeapMib: z.int().min(64).max(16_384).default(1_024),
  workerSilenceMs: z.int().min(10_000).default(60_000),
  stallMs: z.int().positive().default(30_000),
  breakerRows: z.int().positive().default(50),
  logger: z.custom<Logger>().optional(),
  metrics: z.custom<MetricsRegistry>().optional(),
});

/** Validates {@link DrainPoolOptions} and fills in defaults. */
export const drainPoolOptionsSchema = fields.refine(
  ({ polite, concurrency }) => !polite || concurrency === "adaptive",
  { path: ["polite"], message: 'polite needs concurrency: "adaptive", got "fixed"' },
);

/** A schema as the drain takes it: an array is nothing but tables. */
export function asDrainSchema(schema: DrainSchema | TableDefinition[]): DrainSchema {
  return Array.isArray(schema) ? { tables: schema, upserts: [] } : schema;
}

/** {@link DrainPoolOptions} after defaults. */
export type ResolvedDrainPoolOptions = z.output<typeof drainPoolOptionsSchema>;
