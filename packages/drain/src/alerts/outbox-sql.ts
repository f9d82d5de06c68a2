import { ALERTS_TABLE } from "../schema/alert-tables.ts";
import { quoteIdentifier } from "../schema/identifier.ts";
import type { UpsertDefinition } from "../schema/upsert.ts";

/** The parts of an `INSERT ... ON CONFLICT DO UPDATE`. */
export interface Merge {
  readonly table: string;
  readonly names: readonly string[];
  readonly values: readonly string[];
  readonly updates: readonly string[];
}

/** Characters of a text that an alert tells of. */
const MAX_TEXT = 1_000;

/** What was seen before it was resolved, and comes late, opens nothing again. */
const IS_REOPENED = `stored.status = 'resolved'
    AND (stored.resolved_at IS NULL OR excluded.last_seen_at > stored.resolved_at)`;

/**
 * The merge, and an alert for each row that it inserted or opened again, as one statement.
 *
 * Rows carry the id of the statement that alerted of them. `xmax = 0` would tell new rows only, and the
 * time of the transaction not one of its statements from the next: a batch that is searched for refused
 * rows merges piece by piece.
 */
export function withAlerts(
  upsert: UpsertDefinition,
  merge: Merge,
  sql: (merge: Merge) => string,
): string {
  const insert = sql({
    table: merge.table,
    names: [...merge.names, "alerted_in"],
    values: [...merge.values, "(SELECT id FROM statement)"],
    updates: [
      ...merge.updates,
      `status = CASE WHEN ${IS_REOPENED} THEN 'open' ELSE stored.status END`,
      `resolved_at = CASE WHEN ${IS_REOPENED} THEN NULL ELSE stored.resolved_at END`,
      `reopened_at = CASE WHEN ${IS_REOPENED} THEN now() ELSE stored.reopened_at END`,
      `alerted_in = CASE WHEN ${IS_REOPENED} THEN excluded.alerted_in ELSE stored.alerted_in END`,
    ],
  });
  const keys = ["token", ...Object.keys(upsert.key)].map(quoteIdentifier).join(", ");
  return [
    "WITH statement AS MATERIALIZED (SELECT gen_random_uuid() AS id), merged AS (",
    insert,
    "RETURNING stored.*)",
    `INSERT INTO ${ALERTS_TABLE} (kind, source, subject_key, subject)`,
    `SELECT CASE WHEN reopened_at IS NULL THEN 'issue.new' ELSE 'issue.reopened' END,`,
    `  '${upsert.name}', md5(jsonb_build_array(${keys})::text),`,
    `  (SELECT to_jsonb(subject) FROM (SELECT ${subjectColumns(upsert).join(", ")}) AS subject)`,
    "FROM merged WHERE alerted_in = (SELECT id FROM statement)",
  ].join("\n");
}

function subjectColumns({ key, counts, latest }: UpsertDefinition): string[] {
  const declared = Object.entries({ ...key, ...latest }).map(([name, { type }]) => {
    const column = quoteIdentifier(name);
    return type === "text" ? `left(${column}, ${MAX_TEXT}) AS ${column}` : column;
  });
  const others = ["token", ...Object.keys(counts), "first_seen_at", "last_seen_at", "status"];
  return [...others.map(quoteIdentifier), ...declared];
}
