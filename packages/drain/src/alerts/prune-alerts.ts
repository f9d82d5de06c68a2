import type { Client } from "pg";
import { ALERTS_TABLE, DELIVERIES_TABLE } from "../schema/alert-tables.ts";

/** How long an alert is kept, sent or not. */
const RETENTION = "7 days";
/** Alerts that are kept at most: with no dispatcher at work they would pile up. */
const MAX_ALERTS = 100_000;
/** Rows that one statement deletes. */
const PRUNED_AT_ONCE = 5_000;

export interface PrunedAlerts {
  deleted: number;
  /** Those of them that some channel, or every one, had still to send. */
  unsent: number;
}

/** What the counter of {@link PrunedAlerts.unsent} is called: whoever prunes, drain or dispatcher, adds to it. */
export const UNSENT_METRIC = {
  type: "counter",
  name: "millrace_alerts_pruned_unsent_total",
  help: "Alerts deleted, too old or too many, before they were sent.",
} as const;

/** Deletes up to 5,000 alerts that are too old, or too many; call it again for more. */
export async function pruneAlerts(client: Pick<Client, "query">): Promise<PrunedAlerts> {
  const { rows } = await client.query<PrunedAlerts>(
    `WITH old AS MATERIALIZED (
       SELECT id, queued_at IS NULL AS is_new FROM ${ALERTS_TABLE}
       WHERE created_at < now() - interval '${RETENTION}'
         OR id <= (SELECT max(id) FROM ${ALERTS_TABLE}) - ${MAX_ALERTS}
       ORDER BY id LIMIT ${PRUNED_AT_ONCE} FOR UPDATE SKIP LOCKED
     ), deleted AS (
       DELETE FROM ${ALERTS_TABLE} AS alert USING old WHERE alert.id = old.id
     )
     SELECT count(*)::int AS deleted, count(*) FILTER (WHERE is_new OR EXISTS (
       SELECT FROM ${DELIVERIES_TABLE} WHERE alert_id = old.id AND settled_at IS NULL
     ))::int AS unsent FROM old`,
  );
  return rows[0] ?? { deleted: 0, unsent: 0 };
}
