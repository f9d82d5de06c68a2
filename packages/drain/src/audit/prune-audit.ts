import type { Client } from "pg";

/** How far back an audit can look. */
const AUDIT_RETENTION = "90 days";
/** Rows that one statement deletes. */
const PRUNED_AT_ONCE = 5_000;

/** Deletes rows of the audit that are too old, up to 5,000; those that another agent deletes are left to it. */
export async function pruneAudit(client: Client, table: string): Promise<void> {
  await client.query(
    `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM ${table} WHERE hour < now() - interval '${AUDIT_RETENTION}'
       LIMIT ${PRUNED_AT_ONCE} FOR UPDATE SKIP LOCKED
     ))`,
  );
}
