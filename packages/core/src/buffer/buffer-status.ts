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
