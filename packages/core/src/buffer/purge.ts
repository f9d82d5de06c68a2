import type { Database } from "better-sqlite3";

/** Rows deleted in one transaction when a batch is purged, so that appends need not wait long. */
const PURGE_ROWS = 500;

/** Removes the payloads of a batch that has landed, in steps that a kill may come between. */
export function purge(database: Database, batchId: string): void {
  const purgeStep = database.transaction(() => purgeSome(database, batchId));
  while (purgeStep.immediate());
}

/** @returns whether there is more to purge. */
function purgeSome(database: Database, batchId: string): boolean {
  const claim = database
    .prepare<[string], { lo: number; hi: number }>(
      "SELECT lo, hi FROM claims WHERE batch_id = ? AND state = 'landed'",
    )
    .get(batchId);
  if (claim === undefined) return false;
  const to = Math.min(claim.hi, claim.lo + PURGE_ROWS - 1);
  const { rows, bytes } = database
    .prepare<[number, number], { rows: number; bytes: number }>(
      `SELECT count(*) AS rows, coalesce(sum(length(payload)), 0) AS bytes
       FROM payloads WHERE id BETWEEN ? AND ?`,
    )
    .get(claim.lo, to) ?? { rows: 0, bytes: 0 };
  database.prepare("DELETE FROM payloads WHERE id BETWEEN ? AND ?").run(claim.lo, to);
  database
    .prepare("UPDATE progress SET purged_rows = purged_rows + ?, purged_bytes = purged_bytes + ?")
    .run(rows, bytes);
  if (to === claim.hi) {
    database.prepare("DELETE FROM claims WHERE batch_id = ?").run(batchId);
    return false;
  }
  database
    .prepare("UPDATE claims SET lo = ?, rows = rows - ?, bytes = bytes - ? WHERE batch_id = ?")
    .run(to + 1, rows, bytes, batchId);
  return true;
}
