import { closeSync, openSync, readSync, statSync } from "node:fs";
import type { Database } from "better-sqlite3";
import { PAGE_BYTES } from "./database.ts";
import { APPLICATION_ID, describeSchema } from "./schema.ts";
import { readTemplate } from "./template.ts";
import { walFileBytes } from "./wal-size.ts";
import { hasCommitsBehindDamage, readWal } from "./salvage/wal-frames.ts";

/** Files up to this size are read through at start; larger ones would delay it. */
const FULL_CHECK_BYTES = 64 * 1024 * 1024;
/** A WAL beyond this is not read before SQLite does. */
const WAL_CHECK_BYTES = 128 * 1024 * 1024;

/**
 * Looks for damage in a WAL that SQLite would pass over in silence: it takes a damaged frame for the
 * end of the WAL and forgets the commits behind it. To be called before SQLite opens the file.
 *
 * @returns what is wrong with it.
 */
export function findWalDamage(
  path: string,
  limitBytes: number = WAL_CHECK_BYTES,
): string | undefined {
  const size = walFileBytes(path);
  if (size === 0 || size > limitBytes) return undefined;
  const file = openSync(`${path}-wal`, "r");
  try {
    return hasCommitsBehindDamage(readWal(file, size))
      ? "its WAL has commits behind a damaged frame"
      : undefined;
  } finally {
    closeSync(file);
  }
}

/** Header fields that are the same in every file, and what SQLite makes of another value. */
const FIXED_HEADER: ReadonlyArray<[offset: number, values: readonly number[], meaning: string]> = [
  [16, [PAGE_BYTES >> 8], "page size"],
  [17, [PAGE_BYTES & 0xff], "page size"],
  [18, [1, 2], "write version"],
  [19, [1, 2], "read version"],
  [20, [0], "reserved bytes"],
  [21, [64], "payload fraction"],
  [22, [32], "payload fraction"],
  [23, [32], "payload fraction"],
];

/**
 * Looks for damage in a header that SQLite would act upon, for one by taking the file for read-only.
 * To be called before SQLite opens the file.
 *
 * @returns what is wrong with it.
 */
export function findHeaderDamage(path: string): string | undefined {
  const header = Buffer.alloc(100);
  const file = openSync(path, "r");
  try {
    readSync(file, header, 0, header.length, 0);
  } finally {
    closeSync(file);
  }
  // Another program's file is none of our business.
  if (header.readUInt32BE(68) !== APPLICATION_ID) return undefined;
  const wrong = FIXED_HEADER.find(([at, values]) => !values.includes(header.readUInt8(at)));
  return wrong && `its header is wrong: ${wrong[2]}`;
}

/**
 * Looks for damage as far as there is time for at start: whatever it misses shows when it is read.
 *
 * @param limitBytes largest file that is read through. @returns what is wrong with the file.
 */
export function findDamage(
  database: Database,
  limitBytes: number = FULL_CHECK_BYTES,
): string | undefined {
  return (
    findOtherSchema(database) ??
    findTruncation(database) ??
    findContradiction(database) ??
    findBrokenPage(database, limitBytes)
  );
}

function findOtherSchema(database: Database): string | undefined {
  const isOurs = describeSchema(database) === readTemplate(describeSchema);
  return isOurs ? undefined : "its tables are not as they were made";
}

function findTruncation(database: Database): string | undefined {
  // Pages that are in the WAL only are beyond the end of the file.
  if (walFileBytes(database.name) > 0) return undefined;
  const pages = Number(database.pragma("page_count", { simple: true }));
  const pageBytes = Number(database.pragma("page_size", { simple: true }));
  const { size } = statSync(database.name);
  return size < pages * pageBytes
    ? `it is cut off at ${size} bytes of ${pages * pageBytes}`
    : undefined;
}

/** Things that hold in every file, each found without reading many pages. */
const CONTRADICTIONS: ReadonlyArray<[what: string, sql: string]> = [
  [
    "its claims and their copy differ",
    `SELECT EXISTS (SELECT * FROM claims EXCEPT SELECT * FROM claims_spare)
       OR EXISTS (SELECT * FROM claims_spare EXCEPT SELECT * FROM claims)`,
  ],
  [
    "its totals and their copy differ",
    `SELECT NOT EXISTS (SELECT 1 FROM progress JOIN progress_spare AS spare USING (one)
       WHERE (progress.claimed_id, progress.claimed_rows, progress.claimed_bytes,
         progress.purged_rows, progress.purged_bytes, progress.dropped_rows, progress.lost_rows)
       = (spare.claimed_id, spare.claimed_rows, spare.claimed_bytes,
         spare.purged_rows, spare.purged_bytes, spare.dropped_rows, spare.lost_rows))`,
  ],
  [
    "its totals and its rows differ",
    `SELECT claimed_id > appended_id
       OR appended_id < coalesce((SELECT max(id) FROM payloads), 0)
       OR claimed_id < coalesce((SELECT max(hi) FROM claims), 0)
       OR appended_rows - claimed_rows > appended_id - claimed_id
       OR claimed_rows - purged_rows - dropped_rows - lost_rows
         <> (SELECT coalesce(sum(rows), 0) FROM claims) FROM progress`,
  ],
];

function findContradiction(database: Database): string | undefined {
  for (const [what, sql] of CONTRADICTIONS) {
    if (database.prepare(sql).pluck().get() === 1) return what;
  }
  return undefined;
}

function findBrokenPage(database: Database, limitBytes: number): string | undefined {
  if (statSync(database.name).size > limitBytes) return undefined;
  const result = String(database.pragma("quick_check(1)", { simple: true }));
  return result === "ok" ? undefined : result;
}
