/** What became of the payloads that one buffer accepted in an hour. */
export interface AuditedBuffer {
  bufferId: string;
  /** Ids that the buffer gave out. */
  accepted: number;
  /** Payloads that left the buffer for the tables or the dead letters. */
  landed: number;
  /** Payloads that are in its file still; undefined when the file was not read. */
  buffered: number | undefined;
  /**
   * The rest of `accepted`: dropped to make room, lost to damage of the file or, when that was not
   * read, perhaps on their way. Below 0 where ids do not rise with time: the clock was set back, or
   * payloads were requeued.
   */
  unaccounted: number;
}

/** What a table has of the records that arrived in an hour. */
export interface AuditedTable {
  table: string;
  /** Records that batches and replays have landed in it. */
  landed: number;
  /** Rows that it has now; undefined for a table that records are merged into, or whose retention is over. */
  found: number | undefined;
  /** `landed - found`: above 0 rows were deleted or skipped by a trigger, below 0 others have written some. */
  missing: number;
}

/** Dead letters of what arrived in an hour. */
export interface AuditedDeadLetters {
  /** Letters that batches and replays have written. */
  written: number;
  replayed: number;
  discarded: number;
  /** Letters that are there now. */
  found: number;
  /** Of `found`, those that are a payload as a whole. */
  foundPayloads: number;
  /** `written - replayed - discarded - found`. */
  missing: number;
}

/** What was accepted in an hour, and what has become of it. */
export interface AuditedHour {
  /** Its start. */
  hour: Date;
  /** Whether nothing is unaccounted for or missing. */
  isComplete: boolean;
  buffers: AuditedBuffer[];
  tables: AuditedTable[];
  deadLetters: AuditedDeadLetters;
}

/** A buffer file that was read. */
export interface AuditedFile {
  path: string;
  bufferId: string;
  /** Since the file was created: dropped unread, with `whenFull: "drop-oldest"`. */
  droppedRows: number;
  /** Since the file was created: lost to damage. */
  lostRows: number;
}

/** What an audit has found. */
export interface AuditReport {
  from: Date;
  to: Date;
  /** Whether every hour is complete. */
  isComplete: boolean;
  /** Those in which anything was accepted, in the order of time. */
  hours: AuditedHour[];
  files: AuditedFile[];
}
