import type { Database } from "better-sqlite3";
import { checksumOf } from "./checksum.ts";
import { findDeadOwners } from "./owners.ts";

interface ClaimToRequeue {
  batch_id: string;
  lo: number;
  hi: number;
  rows: number;
  bytes: number;
}

/**
 * Makes pending again what dead owners had claimed: under new ids, at the end of the queue, so that
 * it is drained in new batches. What of it had landed already lands twice.
 *
 * @param batchId only this batch. @returns the batches, with their payloads.
 */
export function requeue(
  database: Database,
  batchId?: string,
): Array<{ batchId: string; rows: number }> {
  const requeueAll = database.transaction(() => {
    const dead = JSON.stringify(findDeadOwners(database, ""));
    const claims = database
      .prepare<[string], ClaimToRequeue>(
        `SELECT * FROM claims WHERE state = 'claimed'
           AND (owner NOT IN (SELECT owner FROM owners)
             OR owner IN (SELECT value FROM json_each(?)))
         ORDER BY lo`,
      )
      .all(dead)
      .filter(({ batch_id }) => batchId === undefined || batch_id === batchId);
    for (const claim of claims) moveToEnd(database, claim);
    return claims.map(({ batch_id, rows }) => ({ batchId: batch_id, rows }));
  });
  return requeueAll.immediate();
}

function moveToEnd(database: Database, claim: ClaimToRequeue): void {
  const payloads = database.prepare<
    [number, number],
    { id: number; received_at: number; token: number; payload: Buffer }
  >("SELECT * FROM payloads WHERE id > ? AND id <= ? ORDER BY id LIMIT 1");
  const insert = database.prepare("INSERT INTO payloads VALUES (?, ?, ?, ?, ?)");
  let lastId = Number(database.prepare("SELECT appended_id FROM progress").pluck().get());
  let from = claim.lo - 1;
  for (let row = payloads.get(from, claim.hi); row; row = payloads.get(from, claim.hi)) {
    from = row.id;
    lastId++;
    const checksum = checksumOf(lastId, row.received_at, row.token, row.payload);
    insert.run(lastId, row.received_at, row.token, checksum, row.payload);
  }
  database.prepare("DELETE FROM payloads WHERE id BETWEEN ? AND ?").run(claim.lo, claim.hi);
  database.prepare("DELETE FROM claims WHERE batch_id = ?").run(claim.batch_id);
  database
    .prepare(
      `UPDATE progress SET appended_id = ?, claimed_rows = claimed_rows - ?,
         claimed_bytes = claimed_bytes - ?`,
    )
    .run(lastId, claim.rows, claim.bytes);
}
