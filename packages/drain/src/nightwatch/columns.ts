import { bigint, type ColumnDefinition, integer, text, timestamptz } from "../schema/columns.ts";

/** Columns of a table, in their order. */
export type Columns = Record<string, ColumnDefinition>;

/** In every record. */
const moment: Columns = {
  occurred_at: timestamptz("timestamp", { required: true }),
  record_version: integer("v"),
};

/** Where it ran, and the flow of work that it belongs to. */
export const origin: Columns = {
  ...moment,
  deploy: text("deploy"),
  server: text("server"),
  trace_id: text("trace_id"),
};

/** {@link origin} of what is grouped with its like: all but logs and users. */
export const grouped: Columns = {
  ...origin,
  group_hash: text("_group"),
};

/** Guests send an empty string. */
export const user: Columns = {
  user_id: text("user", { emptyAsNull: true }),
};

/** What happened within a request, command, job attempt or scheduled task. */
export const execution: Columns = {
  execution_source: text("execution_source"),
  execution_id: text("execution_id"),
  execution_preview: text("execution_preview"),
  execution_stage: text("execution_stage"),
  ...user,
};

/** How much happened within one execution, and its surroundings. */
export const counters: Columns = {
  exceptions: integer("exceptions"),
  logs: integer("logs"),
  queries: integer("queries"),
  lazy_loads: integer("lazy_loads"),
  jobs_queued: integer("jobs_queued"),
  mail: integer("mail"),
  notifications: integer("notifications"),
  outgoing_requests: integer("outgoing_requests"),
  files_read: integer("files_read"),
  files_written: integer("files_written"),
  cache_events: integer("cache_events"),
  hydrated_models: integer("hydrated_models"),
  peak_memory_usage_bytes: bigint("peak_memory_usage"),
  exception_preview: text("exception_preview"),
  context: text("context"),
};

/** Microseconds of the named parts of a duration. */
export function stages(...names: readonly string[]): Columns {
  return Object.fromEntries(names.map((name) => [`${name}_us`, bigint(name)]));
}
