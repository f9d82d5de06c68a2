/**
 * The tables of OpenTelemetry: what an OTLP exporter sends to `/v1/logs` and `/v1/traces`.
 *
 * @module
 */
import { OTEL_LOG, OTEL_SPAN } from "../otlp/otlp-records.ts";
import {
  bigint,
  type ColumnDefinition,
  integer,
  jsonb,
  text,
  timestamptzNanoseconds,
} from "../schema/columns.ts";
import type { DrainSchema } from "../schema/drain-schema.ts";
import type { PartitionBy, PartitionInterval, Retention } from "../schema/partition-by.ts";
import { defineTable, type IndexDefinition } from "../schema/table.ts";

/** Options of {@link otel}. */
export interface OtelOptions {
  /** How long logs and spans are kept: `"30 days"`. @default undefined: for ever */
  readonly retain?: Retention | undefined;
  /** How much time one partition of a table holds, in UTC. @default "day" */
  readonly partitionInterval?: PartitionInterval | undefined;
}

const indexes: IndexDefinition[] = [
  { columns: ["occurred_at", "received_at"], method: "brin" },
  { columns: ["trace_id"] },
];

/** Who sent it, and what of it did not fit the sender's limits. */
const origin: Record<string, ColumnDefinition> = {
  attributes: jsonb("attributes"),
  dropped_attributes_count: bigint("dropped_attributes_count"),
  service_name: text("service_name"),
  resource: jsonb("resource"),
  scope: jsonb("scope"),
  schema_url: text("schema_url"),
};

/**
 * Declares `otel_logs` and `otel_spans`.
 *
 * Trace and span ids are lower-case hex. Times are cut to microseconds, `duration_ns` is exact.
 * Attributes are plain JSON: integers beyond 2^53 - 1 are text there, bytes are base64. A log without
 * a time has the one at which it was observed, or else received.
 *
 * @example
 * ```ts
 * import { combineSchemas } from "@millrace/drain";
 * import { nightwatch } from "@millrace/drain/nightwatch";
 * import { otel } from "@millrace/drain/otel";
 *
 * export const schema = combineSchemas(nightwatch(), otel({ retain: "30 days" }));
 * ```
 *
 * @throws {@link MillraceError} `DRAIN_TABLE_INVALID` for a retention or interval that is none.
 */
export function otel(options: OtelOptions = {}): DrainSchema {
  const partitionBy: PartitionBy = {
    column: "occurred_at",
    interval: options.partitionInterval ?? "day",
    ...(options.retain !== undefined && { retain: options.retain }),
  };
  const logs = defineTable("otel_logs", {
    match: { t: OTEL_LOG },
    columns: {
      occurred_at: timestamptzNanoseconds("timestamp", { required: true }),
      observed_at: timestamptzNanoseconds("observed_timestamp"),
      severity_number: integer("severity_number"),
      severity_text: text("severity_text"),
      event_name: text("event_name"),
      body: jsonb("body"),
      trace_id: text("trace_id"),
      span_id: text("span_id"),
      flags: bigint("flags"),
      ...origin,
    },
    indexes,
    partitionBy,
  });
  const spans = defineTable("otel_spans", {
    match: { t: OTEL_SPAN },
    columns: {
      occurred_at: timestamptzNanoseconds("timestamp", { required: true }),
      ended_at: timestamptzNanoseconds("ended_at"),
      duration_ns: bigint("duration_ns"),
      trace_id: text("trace_id", { required: true }),
      span_id: text("span_id", { required: true }),
      parent_span_id: text("parent_span_id"),
      trace_state: text("trace_state"),
      flags: bigint("flags"),
      name: text("name"),
      kind: integer("kind"),
      status_code: integer("status_code"),
      status_message: text("status_message"),
      events: jsonb("events"),
      dropped_events_count: bigint("dropped_events_count"),
      links: jsonb("links"),
      dropped_links_count: bigint("dropped_links_count"),
      ...origin,
    },
    indexes,
    partitionBy,
  });
  return { tables: [logs, spans], upserts: [] };
}
