import type { Database } from "better-sqlite3";
import { depthOf, type Progress } from "./schema.ts";

/**
 * Counters and depth of a buffer. Rows are payloads. At every moment
 * `appendedRows = pendingRows + claimedRows + landedRows + purgedRows + droppedRows + lostRows`.
 */
export interface BufferStatus {
  /** Rows in the file: pending, claimed, and landed but not yet purged. */
  rows: number;
  /** Payload bytes in them. */
  bytes: number;
  /** Rows that nobody has claimed yet. */
  pendingRows: number;
  /** Payload bytes in them. */
  pendingBytes: number;
  /** Rows that a worker has claimed, or had when it died. */
  claimedRows: number;
  /** Rows that have landed and are not purged yet. */
  landedRows: number;
  /** Since the file was created: stored. */
  appendedRows: number;
  /** Since the file was created: landed, and removed from the file. */
  purgedRows: number;
  /** Since the file was created: dropped unread to make room, with `whenFull: "drop-oldest"`. */
  droppedRows: number;
  /** Since the file was created: lost to damage of the file. */
  lostRows: number;
  /** Since this process started: refused because the buffer was full. */
  rejectedRows: number;
  /** Since this process started: refused because the WAL was larger than `maxWalBytes`. */
  walRejectedRows: number;
  /** Since this process started: refused because the disk had less than `minFreeBytes` free. */
  diskLowRows: number;
  /** Since this process started: refused because the disk would not take them. */
  failedRows: number;
  /** Since this process started: group commits. */
  commits: number;
  /** Times that this process found the file damaged: nothing, or something, could not be read. */
  salvages: { complete: number; partial: number };
  /** Size of the write-ahead log beside the file. */
  walBytes: number;
  /** Free space on the file's disk; undefined until it was asked. */
  freeBytes: number | undefined;
  /** When the oldest pending row was received, in Unix milliseconds. */
  oldestPendingAt: number | undefined;
}

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
