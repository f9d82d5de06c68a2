import { integer, text } from "../schema/columns.ts";
import { defineUpsert, type UpsertDefinition } from "../schema/upsert.ts";
import { user } from "./columns.ts";

/** Exceptions grouped into issues, what each user did, and the users themselves. */
export function upserts(alerts: boolean): UpsertDefinition[] {
  return [
    defineUpsert("nightwatch_issues", {
      match: { t: "exception" },
      key: { fingerprint: text("_group") },
      occurredAt: "timestamp",
      counts: {
        occurrences: {},
        handled_count: { handled: true },
        unhandled_count: { handled: false },
      },
      latest: {
        class: text("class"),
        message: text("message"),
        code: text("code"),
        file: text("file"),
        line: integer("line"),
        last_trace_id: text("trace_id"),
      },
      alerts,
    }),
    defineUpsert("nightwatch_user_counters", {
      match: { t: ["request", "exception", "job-attempt", "queued-job", "log"] },
      key: user,
      occurredAt: "timestamp",
      counts: {
        requests: { t: "request" },
        exceptions: { t: "exception" },
        job_attempts: { t: "job-attempt" },
        queued_jobs: { t: "queued-job" },
        logs: { t: "log" },
      },
    }),
    // Clients send a user with every request that has one: a row a person, not a row a sighting.
    defineUpsert("nightwatch_users", {
      match: { t: "user" },
      key: { id: text("id", { required: true }) },
      occurredAt: "timestamp",
      counts: { sightings: {} },
      latest: { name: text("name"), username: text("username"), record_version: integer("v") },
      keepUnknownFields: true,
    }),
  ];
}
