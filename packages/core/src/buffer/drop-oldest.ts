import type { Database } from "better-sqlite3";

/** Rows that are dropped in one transaction. */
const DROP_ROWS = 1_000;

/**
 * Drops the oldest payloads that nobody has claimed, enough to make up for `excess` or a bounded
 * step of it. Runs in the caller's transaction, so that no claim can come in between.
 *
 * @returns what was dropped; nothing when all that is left is claimed.
 */
export function dropOldest(
  database: Database,
  excess: { rows: number; bytes: number },
): { rows: number; bytes: number } {
  const oldest = database
    .prepare<[], { id: number; bytes: number }>(
      `SELECT id, length(payload) AS bytes FROM payloads
       WHERE id > (SELECT claimed_id FROM progress) ORDER BY id LIMIT ${DROP_ROWS}`,
    )
    .all();
  let rows = 0;
  let bytes = 0;
  let lastId = 0;
  for (const row of oldest) {
    if (rows >= excess.rows && bytes >= excess.bytes) break;
    rows++;
    bytes += row.bytes;
    lastId = row.id;
  }
  if (rows === 0) return { rows, bytes };
  database
    .prepare("DELETE FROM payloads WHERE id > (SELECT claimed_id FROM progress) AND id <= ?")
    .run(lastId);
  database
    .prepare(
      `UPDATE progress SET claimed_id = ?, claimed_rows = claimed_rows + ?,
         claimed_bytes = claimed_bytes + ?, dropped_rows = dropped_rows + ?,
         dropped_bytes = dropped_bytes + ?`,
    )
    .run(lastId, rows, bytes, rows, bytes);
  return { rows, bytes };
}
