import type { Database } from "better-sqlite3";
import type { WriteTurns } from "./write-turns.ts";

/** Rows deleted in one transaction when a batch is purged, so that appends need not wait long. */
const PURGE_ROWS = 500;

/** Removes the payloads of a batch that has landed, in steps that a kill may come between. */
export function purge(database: Database, batchId: string, turns: WriteTurns): void {
  let purgeStep = purgeSteps.get(database);
  if (purgeStep === undefined) {
    purgeStep = preparePurge(database);
    purgeSteps.set(database, purgeStep);
  }
  const step = purgeStep;
  while (turns.take(() => step(batchId)));
}

/** A step is a few deletions: preparing its statements each time took as long. */
const purgeSteps = new WeakMap<Database, (batchId: string) => boolean>();

/** @returns a step that says whether there is more to purge. */
function preparePurge(database: Database): (batchId: string) => boolean {
  const readClaim = database.prepare<[string], { lo: number; hi: number }>(
    "SELECT lo, hi FROM claims WHERE batch_id = ? AND state = 'landed'",
  );
  const measure = database.prepare<[number, number], { rows: number; bytes: number }>(
    `SELECT count(*) AS rows, coalesce(sum(length(payload)), 0) AS bytes
     FROM payloads WHERE id BETWEEN ? AND ?`,
  );
  const removePayloads = database.prepare("DELETE FROM payloads WHERE id BETWEEN ? AND ?");
  const countPurged = database.prepare(
    "UPDATE progress SET purged_rows = purged_rows + ?, purged_bytes = purged_bytes + ?",
  );
  const removeClaim = database.prepare("DELETE FROM claims WHERE batch_id = ?");
  const shrinkClaim = database.prepare(
    "UPDATE claims SET lo = ?, rows = rows - ?, bytes = bytes - ? WHERE batch_id = ?",
  );
  const step = database.transaction((batchId: string): boolean => {
    const claim = readClaim.get(batchId);
    if (claim === undefined) return false;
    const to = Math.min(claim.hi, claim.lo + PURGE_ROWS - 1);
    const { rows, bytes } = measure.get(claim.lo, to) ?? { rows: 0, bytes: 0 };
    removePayloads.run(claim.lo, to);
    countPurged.run(rows, bytes);
    if (to === claim.hi) {
      removeClaim.run(batchId);
      return false;
    }
    shrinkClaim.run(to + 1, rows, bytes, batchId);
    return true;
  });
  return (batchId) => step.immediate(batchId);
}
