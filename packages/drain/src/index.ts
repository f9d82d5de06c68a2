/**
 * Worker threads that land buffered telemetry in PostgreSQL with COPY, exactly once.
 *
 * @example
 * ```ts
 * import { runUntilSignal } from "@millrace/core";
 * import { createBuffer } from "@millrace/core/buffer";
 * import { createDrainPool, postgres } from "@millrace/drain";
 * import { nightwatch } from "@millrace/drain/nightwatch";
 *
 * export async function main(connectionString: string): Promise<void> {
 *   const buffer = createBuffer({ path: "telemetry/buffer.db" });
 *   const drain = createDrainPool({
 *     buffer,
 *     destination: postgres({ connectionString }),
 *     schema: nightwatch(),
 *   });
 *   await runUntilSignal([buffer, drain]);
 * }
 * ```
 *
 * @module
 */
export type { DrainReason } from "./adaptive/drain-policy.ts";
export type { DrainConcurrency } from "./adaptive/drain-tuner.ts";
export { audit } from "./audit/audit.ts";
export type { AuditOptions, AuditRange } from "./audit/audit-options.ts";
export type {
  AuditedBuffer,
  AuditedDeadLetters,
  AuditedFile,
  AuditedHour,
  AuditedTable,
  AuditReport,
} from "./audit/audit-report.ts";
export {
  type DeadLetterFilter,
  type DeadLetterSelection,
  type DeadLettersOptions,
  type ListDeadLettersOptions,
} from "./dead-letters/dead-letter-options.ts";
export {
  createDeadLetters,
  type DeadLetterCounts,
  type DeadLetterPage,
  type DeadLetters,
  type ReplayResult,
  type StoredDeadLetter,
} from "./dead-letters/dead-letters.ts";
export {
  type DrainBuffer,
  type DrainPoolOptions,
  drainPoolOptionsSchema,
  type ResolvedDrainPoolOptions,
} from "./drain-options.ts";
export {
  createDrainPool,
  type DrainEvents,
  type DrainPool,
  type DrainStatus,
} from "./drain-pool.ts";
export type { DrainErrorCode } from "./errors.ts";
export type { WorkerPhase } from "./messages.ts";
export { migrate } from "./migrate.ts";
export type { MaintenanceCounts } from "./partitions/maintenance-report.ts";
export type { DrainCounters } from "./pool/drain-counters.ts";
export type { OpenBreaker } from "./pool/open-breakers.ts";
export {
  postgres,
  type PostgresDestination,
  type PostgresOptions,
  type PostgresTls,
} from "./postgres.ts";
export type { RollupInterval } from "./rollups/rollup-interval.ts";
export {
  defineRollup,
  type ErrorCondition,
  type RollupDefinition,
  type RollupOptions,
  type RollupRetention,
} from "./rollups/rollup.ts";
export { combineSchemas, type DrainSchema } from "./schema/drain-schema.ts";
export {
  bigint,
  boolean,
  type ColumnDefinition,
  type ColumnOptions,
  type ColumnType,
  double,
  integer,
  jsonb,
  text,
  textArray,
  type TextColumnOptions,
  timestamptz,
  timestamptzIso,
  timestamptzMicroseconds,
  timestamptzMilliseconds,
  timestamptzNanoseconds,
  type TimeUnit,
  uuid,
} from "./schema/columns.ts";
export type { PartitionBy, PartitionInterval, Retention } from "./schema/partition-by.ts";
export {
  defineTable,
  type IndexDefinition,
  type TableDefinition,
  type TableOptions,
} from "./schema/table.ts";
export type { DrainWorkerStatus } from "./stall/pool-health.ts";
export type { DrainStallCode } from "./stall/stall-code.ts";
export {
  type CountCondition,
  defineUpsert,
  type UpsertDefinition,
  type UpsertOptions,
} from "./schema/upsert.ts";
