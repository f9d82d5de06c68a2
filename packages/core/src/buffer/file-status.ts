import type { Database } from "better-sqlite3";
import type { BufferStatus } from "./buffer-status.ts";
import { depthOf, type Progress } from "./schema.ts";

/** What {@link BufferStatus} takes from the file. */
export type FileStatus = Pick<
  BufferStatus,
  | "rows"
  | "bytes"
  | "pendingRows"
  | "pendingBytes"
  | "claimedRows"
  | "landedRows"
  | "appendedRows"
  | "purgedRows"
  | "droppedRows"
  | "lostRows"
  | "oldestPendingAt"
>;

export const NO_FILE_STATUS: FileStatus = {
  rows: 0,
  bytes: 0,
  pendingRows: 0,
  pendingBytes: 0,
  claimedRows: 0,
  landedRows: 0,
  appendedRows: 0,
  purgedRows: 0,
  droppedRows: 0,
  lostRows: 0,
  oldestPendingAt: undefined,
};

type StatusRow = Progress & { landed_rows: number; oldest: number | null };

/** Reads everything in one statement, thus as of one moment. */
export function readFileStatus(database: Database): FileStatus {
  const row = database
    .prepare<[], StatusRow>(
      `SELECT *,
         (SELECT coalesce(sum(rows), 0) FROM claims WHERE state = 'landed') AS landed_rows,
         (SELECT received_at FROM payloads WHERE id > claimed_id ORDER BY id LIMIT 1) AS oldest
       FROM progress`,
    )
    .get();
  if (row === undefined) return NO_FILE_STATUS;
  const depth = depthOf(row);
  const pendingRows = row.appended_rows - row.claimed_rows;
  return {
    ...depth,
    pendingRows,
    pendingBytes: row.appended_bytes - row.claimed_bytes,
    claimedRows: depth.rows - pendingRows - row.landed_rows,
    landedRows: row.landed_rows,
    appendedRows: row.appended_rows,
    purgedRows: row.purged_rows,
    droppedRows: row.dropped_rows,
    lostRows: row.lost_rows,
    oldestPendingAt: row.oldest ?? undefined,
  };
}
