import { setImmediate as nextTurn } from "node:timers/promises";
import { openReadOnly } from "./cli/open-file.ts";

/** Payloads of a buffer file with consecutive ids that arrived within one hour. */
export interface BufferedRun {
  /** Start of the hour, in Unix milliseconds. */
  hour: number;
  firstId: number;
  lastId: number;
}

/** What a buffer file holds, in {@link BufferedRun}s by id. */
export interface BufferedRuns {
  bufferId: string;
  runs: BufferedRun[];
  /** Since the file was created: dropped unread, with `whenFull: "drop-oldest"`. */
  droppedRows: number;
  /** Since the file was created: lost to damage. */
  lostRows: number;
}

const HOUR_MS = 3_600_000;
/** Rows that are read in one turn of the event loop, and in one transaction. */
const READ_ROWS = 2_000;

/**
 * Tells which payloads a buffer file holds: pending, claimed, or landed and not yet purged. Reads
 * bit by bit, beside a process that uses the file; each payload is in the answer if it was there
 * when its turn came.
 *
 * @throws {@link MillraceError} `BUFFER_SCHEMA_UNKNOWN` for a file that is no buffer.
 */
export async function readBufferedRuns(path: string): Promise<BufferedRuns> {
  const database = openReadOnly(path);
  try {
    const bufferId = String(
      database.prepare("SELECT value FROM meta WHERE key = 'buffer_id'").pluck().get(),
    );
    const read = database.prepare<[number], { id: number; received_at: number }>(
      `SELECT id, received_at FROM payloads WHERE id > ? ORDER BY id LIMIT ${READ_ROWS}`,
    );
    const runs: BufferedRun[] = [];
    let run: BufferedRun | undefined;
    for (let rows = read.all(0); rows.length > 0; rows = read.all(run?.lastId ?? 0)) {
      for (const { id, received_at } of rows) {
        const hour = Math.floor(received_at / HOUR_MS) * HOUR_MS;
        if (run?.hour === hour && run.lastId === id - 1) {
          run.lastId = id;
        } else {
          run = { hour, firstId: id, lastId: id };
          runs.push(run);
        }
      }
      await nextTurn();
    }
    const totals = database
      .prepare<[], { dropped_rows: number; lost_rows: number }>(
        "SELECT dropped_rows, lost_rows FROM progress",
      )
      .get();
    return {
      bufferId,
      runs,
      droppedRows: totals?.dropped_rows ?? 0,
      lostRows: totals?.lost_rows ?? 0,
    };
  } finally {
    database.close();
  }
}
