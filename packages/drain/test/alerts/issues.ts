import { nightwatch } from "@millrace/drain/nightwatch";
import type { DrainSchema } from "@millrace/drain";
import type { EmptyDatabase } from "../fixtures/empty-database.ts";

/** The issues of the preset with their outbox, and one small table for the exceptions. */
export function issueSchema(): DrainSchema {
  const schema = nightwatch({ alerts: true, rollups: false });
  return {
    tables: schema.tables
      .filter(({ name }) => name === "nightwatch_exceptions")
      .map(({ partitionBy: _partitionBy, ...table }) => table),
    upserts: schema.upserts.filter(({ name }) => name === "nightwatch_issues"),
  };
}

/** An exception of issue `issue`, `seconds` after an hour ago. */
export function exception(issue: string, seconds = 0, fields: Record<string, unknown> = {}) {
  return {
    v: 1,
    t: "exception",
    timestamp: Math.floor(Date.now() / 1_000) - 3_600 + seconds,
    _group: issue,
    trace_id: `trace-${issue}-${seconds}`,
    class: "App\\Broken",
    message: `broken ${issue} <!channel> & more`,
    file: "app/Broken.php",
    line: 7,
    handled: false,
    ...fields,
  };
}

/** Kinds and fingerprints of all alerts, in order. */
export async function alerts({ query }: EmptyDatabase): Promise<string[]> {
  const rows = await query<{ kind: string; issue: string }>(
    "SELECT kind, subject ->> 'fingerprint' AS issue FROM millrace_alerts ORDER BY id",
  );
  return rows.map(({ kind, issue }) => `${kind} ${issue}`);
}

/** As a person does it who repaired the cause. */
export async function resolve({ query }: EmptyDatabase, issue: string): Promise<void> {
  await query(
    "UPDATE nightwatch_issues SET status = 'resolved', resolved_at = now() - interval '30 minutes' WHERE fingerprint = $1",
    [issue],
  );
}
