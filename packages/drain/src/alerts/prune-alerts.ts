import type { Client } from "pg";
import { ALERTS_TABLE } from "../schema/alert-tables.ts";

/** How long an alert is kept, sent or not. */
const RETENTION = "7 days";
/** Alerts that are kept at most: with no dispatcher at work they would pile up. */
const MAX_ALERTS = 100_000;
/** Rows that one statement deletes. */
const PRUNED_AT_ONCE = 5_000;

/** Deletes up to 5,000 alerts that are too old, or too many; call it again for more. @returns how many. */
export async function pruneAlerts(client: Pick<Client, "query">): Promise<number> {
  const { rowCount } = await client.query(
    `DELETE FROM ${ALERTS_TABLE} WHERE id IN (
       SELECT id FROM ${ALERTS_TABLE}
       WHERE created_at < now() - interval '${RETENTION}'
         OR id <= (SELECT max(id) FROM ${ALERTS_TABLE}) - ${MAX_ALERTS}
       ORDER BY id LIMIT ${PRUNED_AT_ONCE} FOR UPDATE SKIP LOCKED
     )`,
  );
  return rowCount ?? 0;
}
