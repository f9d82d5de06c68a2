import { bigint, boolean, integer, text } from "../schema/columns.ts";
import type { PartitionBy } from "../schema/partition-by.ts";
import { defineTable, type TableDefinition } from "../schema/table.ts";
import { execution, grouped, origin } from "./columns.ts";
import { byGroup, byTime, byTrace } from "./indexes.ts";

/** One table for each kind of thing that happens within an execution. */
export function eventTables(partitionBy: PartitionBy): TableDefinition[] {
  return [
    defineTable("nightwatch_queued_jobs", {
      match: { t: "queued-job" },
      columns: {
        ...grouped,
        ...execution,
        job_id: text("job_id"),
        name: text("name"),
        connection: text("connection"),
        queue: text("queue"),
        duration_us: bigint("duration"),
      },
      indexes: [byTime],
      partitionBy,
    }),
    defineTable("nightwatch_queries", {
      match: { t: "query" },
      columns: {
        ...grouped,
        ...execution,
        sql: text("sql"),
        file: text("file"),
        line: integer("line"),
        duration_us: bigint("duration"),
        connection: text("connection"),
        connection_type: text("connection_type"),
      },
      indexes: [byTime, byGroup],
      partitionBy,
    }),
    defineTable("nightwatch_exceptions", {
      match: { t: "exception" },
      columns: {
        ...grouped,
        ...execution,
        class: text("class"),
        file: text("file"),
        line: integer("line"),
        message: text("message"),
        code: text("code"),
        trace: text("trace"),
        handled: boolean("handled"),
        php_version: text("php_version"),
        laravel_version: text("laravel_version"),
      },
      indexes: [byTime, byTrace, byGroup],
      partitionBy,
    }),
    defineTable("nightwatch_cache_events", {
      match: { t: "cache-event" },
      columns: {
        ...grouped,
        ...execution,
        store: text("store"),
        key: text("key"),
        type: text("type"),
        duration_us: bigint("duration"),
        ttl_seconds: bigint("ttl"),
      },
      indexes: [byTime],
      partitionBy,
    }),
    defineTable("nightwatch_mail", {
      match: { t: "mail" },
      columns: {
        ...grouped,
        ...execution,
        mailer: text("mailer"),
        class: text("class"),
        subject: text("subject"),
        to_count: integer("to"),
        cc_count: integer("cc"),
        bcc_count: integer("bcc"),
        attachment_count: integer("attachments"),
        duration_us: bigint("duration"),
        failed: boolean("failed"),
      },
      indexes: [byTime],
      partitionBy,
    }),
    defineTable("nightwatch_notifications", {
      match: { t: "notification" },
      columns: {
        ...grouped,
        ...execution,
        channel: text("channel"),
        class: text("class"),
        duration_us: bigint("duration"),
        failed: boolean("failed"),
      },
      indexes: [byTime],
      partitionBy,
    }),
    defineTable("nightwatch_outgoing_requests", {
      match: { t: "outgoing-request" },
      columns: {
        ...grouped,
        ...execution,
        host: text("host"),
        method: text("method"),
        url: text("url"),
        duration_us: bigint("duration"),
        request_size_bytes: bigint("request_size"),
        response_size_bytes: bigint("response_size"),
        status_code: integer("status_code"),
      },
      indexes: [byTime],
      partitionBy,
    }),
    defineTable("nightwatch_logs", {
      match: { t: "log" },
      columns: {
        ...origin,
        ...execution,
        level: text("level"),
        message: text("message"),
        context: text("context"),
        extra: text("extra"),
      },
      indexes: [byTime, byTrace],
      partitionBy,
    }),
  ];
}
