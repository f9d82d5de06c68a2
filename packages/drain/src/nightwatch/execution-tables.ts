import { bigint, boolean, integer, text, textArray } from "../schema/columns.ts";
import type { PartitionBy } from "../schema/partition-by.ts";
import { defineTable, type TableDefinition } from "../schema/table.ts";
import { counters, grouped, stages, user } from "./columns.ts";
import { byGroup, byTime, byTrace } from "./indexes.ts";

/** One table for each kind of execution: what everything else happens within. */
export function executionTables(partitionBy: PartitionBy): TableDefinition[] {
  return [
    defineTable("nightwatch_requests", {
      match: { t: "request" },
      columns: {
        ...grouped,
        ...user,
        method: text("method"),
        url: text("url"),
        route_name: text("route_name"),
        route_methods: textArray("route_methods"),
        route_domain: text("route_domain"),
        route_path: text("route_path"),
        route_action: text("route_action"),
        ip: text("ip"),
        duration_us: bigint("duration"),
        status_code: integer("status_code"),
        request_size_bytes: bigint("request_size"),
        response_size_bytes: bigint("response_size"),
        ...stages(
          "bootstrap",
          "before_middleware",
          "action",
          "render",
          "after_middleware",
          "sending",
          "terminating",
        ),
        ...counters,
        headers: text("headers"),
        payload: text("payload"),
      },
      indexes: [byTime, byTrace, byGroup],
      partitionBy,
    }),
    defineTable("nightwatch_commands", {
      match: { t: "command" },
      columns: {
        ...grouped,
        class: text("class"),
        name: text("name"),
        command: text("command"),
        exit_code: integer("exit_code"),
        duration_us: bigint("duration"),
        ...stages("bootstrap", "action", "terminating"),
        ...counters,
      },
      indexes: [byTime],
      partitionBy,
    }),
    // A job that fails itself sends two records with one attempt_id; the later one has the longer duration.
    defineTable("nightwatch_job_attempts", {
      match: { t: "job-attempt" },
      columns: {
        ...grouped,
        ...user,
        job_id: text("job_id"),
        attempt_id: text("attempt_id"),
        attempt: integer("attempt"),
        name: text("name"),
        connection: text("connection"),
        queue: text("queue"),
        status: text("status"),
        duration_us: bigint("duration"),
        ...counters,
      },
      indexes: [byTime],
      partitionBy,
    }),
    defineTable("nightwatch_scheduled_tasks", {
      match: { t: "scheduled-task" },
      columns: {
        ...grouped,
        name: text("name"),
        cron: text("cron"),
        timezone: text("timezone"),
        repeat_seconds: bigint("repeat_seconds"),
        without_overlapping: boolean("without_overlapping"),
        on_one_server: boolean("on_one_server"),
        run_in_background: boolean("run_in_background"),
        even_in_maintenance_mode: boolean("even_in_maintenance_mode"),
        status: text("status"),
        duration_us: bigint("duration"),
        ...counters,
      },
      indexes: [byTime],
      partitionBy,
    }),
  ];
}
