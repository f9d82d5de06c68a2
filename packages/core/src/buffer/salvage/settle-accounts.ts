import type { Database } from "better-sqlite3";
import { depthOf, type Progress } from "../schema.ts";
import type { SalvagedClaim, SmallTables } from "./small-tables.ts";

interface Tally {
  rows: number;
  bytes: number;
  lastId: number;
}

/** Counts the payloads from one id to another. */
type TallyRows = (lo: number, hi: number) => Tally;

const LAST_ID = Number.MAX_SAFE_INTEGER;

/**
 * Decides what a salvaged file's payloads are to it (pending, claimed, or long gone) and sets the
 * totals so that they hold again. Of two copies that differ the one that agrees with the rest is
 * taken.
 */
export function settleAccounts(
  database: Database,
  tables: SmallTables,
): { recoveredRows: number; lostRows: number; isCountKnown: boolean } {
  const settle = database.transaction(() => {
    const tally: TallyRows = (lo, hi) => tallyRows(database, lo, hi);
    const claims = chooseClaims(tables.claims, tally);
    const progress = chooseProgress(tables.progress, claims, tally);
    const lostBefore = progress.lost_rows;
    insertClaims(database, claims, progress, tally);
    database
      .prepare(
        `DELETE FROM payloads WHERE id <= ?
           AND NOT EXISTS (SELECT 1 FROM claims WHERE payloads.id BETWEEN lo AND hi)`,
      )
      .run(progress.claimed_id);
    closeBooks(progress, tally);
    const columns = Object.keys(progress);
    database
      .prepare(`UPDATE progress SET ${columns.map((column) => `${column} = ?`).join(", ")}`)
      .run(...Object.values(progress));
    return {
      recoveredRows: tally(0, LAST_ID).rows,
      lostRows: progress.lost_rows - lostBefore,
      isCountKnown: tables.progress.length > 0,
    };
  });
  return settle.immediate();
}

function tallyRows(database: Database, lo: number, hi: number): Tally {
  const tally = database
    .prepare<[number, number], Tally>(
      `SELECT count(*) AS rows, coalesce(sum(length(payload)), 0) AS bytes,
         coalesce(max(id), 0) AS lastId
       FROM payloads WHERE id BETWEEN ? AND ?`,
    )
    .get(lo, hi);
  return tally ?? { rows: 0, bytes: 0, lastId: 0 };
}

function chooseClaims(copies: readonly SalvagedClaim[], tally: TallyRows): SalvagedClaim[] {
  const chosen = new Map<string, SalvagedClaim>();
  const isExact = ({ lo, hi, rows, bytes }: SalvagedClaim) => {
    const found = tally(lo, hi);
    return found.rows === rows && found.bytes === bytes;
  };
  for (const claim of copies) {
    const other = chosen.get(claim.batch_id);
    const isBetter = other === undefined || (!isExact(other) && isExact(claim));
    if (isBetter) chosen.set(claim.batch_id, claim);
  }
  return [...chosen.values()];
}

function chooseProgress(
  copies: readonly Progress[],
  claims: readonly SalvagedClaim[],
  tally: TallyRows,
): Progress {
  const lastClaimedId = Math.max(0, ...claims.map(({ hi }) => hi));
  const heldRows = claims.reduce((sum, { rows }) => sum + rows, 0);
  const score = (progress: Progress) => {
    const { claimed_id, claimed_rows, purged_rows, dropped_rows, lost_rows } = progress;
    const found = tally(claimed_id + 1, LAST_ID);
    const pendingRows = progress.appended_rows - claimed_rows;
    // Rows may be missing; none can be there that nobody appended.
    return [
      claimed_id >= lastClaimedId,
      claimed_rows - purged_rows - dropped_rows - lost_rows === heldRows,
      progress.appended_id >= found.lastId,
      pendingRows >= found.rows,
      pendingRows <= progress.appended_id - claimed_id,
      progress.appended_bytes - progress.claimed_bytes >= found.bytes,
    ].filter(Boolean).length;
  };
  const [first, ...others] = copies
    .flatMap((progress) => [progress, withAppends(progress, tally)])
    .map((progress) => ({ progress, score: score(progress) }));
  if (first === undefined) return withAppends({ ...NOTHING, claimed_id: lastClaimedId }, tally);
  let best = first;
  for (const other of others) if (other.score > best.score) best = other;
  return { ...best.progress };
}

const NOTHING: Progress = {
  appended_id: 0,
  appended_rows: 0,
  appended_bytes: 0,
  claimed_id: 0,
  claimed_rows: 0,
  claimed_bytes: 0,
  purged_rows: 0,
  purged_bytes: 0,
  dropped_rows: 0,
  dropped_bytes: 0,
  lost_rows: 0,
  lost_bytes: 0,
};

/** The totals of appends as they follow from the rows: the spare copy does not see each append. */
function withAppends(progress: Progress, tally: TallyRows): Progress {
  const { claimed_id, claimed_rows, claimed_bytes } = progress;
  const pending = tally(claimed_id + 1, LAST_ID);
  return {
    ...progress,
    appended_id: Math.max(progress.appended_id, claimed_id, pending.lastId),
    appended_rows: claimed_rows + pending.rows,
    appended_bytes: claimed_bytes + pending.bytes,
  };
}

/** Rows of a landed batch that cannot be read any more are purged, not lost. */
function insertClaims(
  database: Database,
  claims: readonly SalvagedClaim[],
  progress: Progress,
  tally: TallyRows,
): void {
  const insert = database.prepare(
    `INSERT INTO claims VALUES (@batch_id, @owner, @worker, @lo, @hi, @rows, @bytes, @state,
       @attempts, @crashes, @suspect, @convicted, @claimed_at)`,
  );
  for (const claim of claims) {
    const found = tally(claim.lo, claim.hi);
    if (claim.state === "landed") {
      progress.purged_rows += Math.max(0, claim.rows - found.rows);
      progress.purged_bytes += Math.max(0, claim.bytes - found.bytes);
    }
    if (found.rows > 0) insert.run({ ...claim, rows: found.rows, bytes: found.bytes });
  }
}

/** Makes the totals agree with the rows that are there: what is missing is lost. */
function closeBooks(progress: Progress, tally: TallyRows): void {
  const all = tally(0, LAST_ID);
  const expected = depthOf(progress);
  const missing = { rows: expected.rows - all.rows, bytes: expected.bytes - all.bytes };
  progress.lost_rows += Math.max(0, missing.rows);
  progress.lost_bytes += Math.max(0, missing.bytes);
  progress.appended_rows += Math.max(0, -missing.rows);
  progress.appended_bytes += Math.max(0, -missing.bytes);
  progress.appended_id = Math.max(progress.appended_id, all.lastId);
  const pending = tally(progress.claimed_id + 1, LAST_ID);
  progress.claimed_rows = progress.appended_rows - pending.rows;
  progress.claimed_bytes = progress.appended_bytes - pending.bytes;
}
