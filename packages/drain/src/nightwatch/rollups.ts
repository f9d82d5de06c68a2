import { defineRollup, type RollupDefinition, type RollupRetention } from "../rollups/rollup.ts";
import { text } from "../schema/columns.ts";

const key = { group_hash: text("_group") };
const occurredAt = "timestamp";
const retain: RollupRetention = { minute: "7 days", hour: "1 year" };

/** Requests, queries, job attempts and exceptions, per minute and per hour. */
export function rollups(): RollupDefinition[] {
  return [
    defineRollup("nightwatch_request_rollups", {
      match: { t: "request" },
      key,
      occurredAt,
      duration: "duration",
      errors: { field: "status_code", atLeast: 500 },
      latest: { method: text("method"), route_path: text("route_path") },
      retain,
    }),
    // Not the SQL: every row would repeat it. The newest row of the group in nightwatch_queries has it.
    defineRollup("nightwatch_query_rollups", {
      match: { t: "query" },
      key,
      occurredAt,
      duration: "duration",
      latest: { connection: text("connection") },
      retain,
    }),
    defineRollup("nightwatch_job_rollups", {
      match: { t: "job-attempt" },
      key,
      occurredAt,
      duration: "duration",
      errors: { field: "status", equals: "failed" },
      latest: { name: text("name"), queue: text("queue") },
      retain,
    }),
    defineRollup("nightwatch_exception_rollups", {
      match: { t: "exception" },
      key,
      occurredAt,
      errors: { field: "handled", equals: false },
      latest: { class: text("class") },
      retain,
    }),
  ];
}
