import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import Sqlite, { type Database } from "better-sqlite3";
import { assertNodeVersion } from "../node-version.ts";
import { assertBufferFile } from "./schema.ts";

/** Larger pages than SQLite's 4 KiB: payloads of a kilobyte overflow less and commits write fewer. */
export const PAGE_BYTES = 16 * 1024;
/** How long anything waits for the write lock, in milliseconds, before it says BUSY. */
export const LOCK_DEADLINE_MS = 5_000;
/**
 * Of the handle that creates and fills the file, and of all others. Payloads are written once and read
 * once: a larger cache keeps what nobody asks for. See docs/decisions/0012 and 0016.
 */
const WRITER_CACHE_KIB = 4_000;
const READER_CACHE_KIB = 1_000;
/** The WAL file is cut back to this size when it is reset. */
const WAL_KEPT_BYTES = 16 * 1024 * 1024;

export interface OpenOptions {
  /** Whether a commit waits for the disk. */
  durability: "process" | "power";
  /** Whether a missing file and its folder are created. @default false */
  create?: boolean | undefined;
}

/**
 * Opens a buffer file for reading and writing, with the pragmas that every handle on it needs.
 *
 * @throws {@link MillraceError} `BUFFER_SCHEMA_UNKNOWN`, before anything in the file is changed.
 */
export function openDatabase(path: string, { durability, create = false }: OpenOptions): Database {
  assertNodeVersion();
  if (create) mkdirSync(dirname(path), { recursive: true });
  // An empty file is what a process leaves that was killed between creating it and writing to it.
  const isNew = create && (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
  const database = new Sqlite(path, { timeout: LOCK_DEADLINE_MS, fileMustExist: !create });
  try {
    // Before anything that takes a lock: switching to WAL without it fails at once under contention.
    database.pragma(`busy_timeout = ${LOCK_DEADLINE_MS}`);
    if (!isNew) {
      assertBufferFile(database);
    } else {
      applyLayout(database);
    }
    database.pragma("journal_mode = WAL");
    database.pragma(`synchronous = ${durability === "power" ? "FULL" : "NORMAL"}`);
    database.pragma(`cache_size = -${create ? WRITER_CACHE_KIB : READER_CACHE_KIB}`);
    // What is mapped counts as the process's memory, once for each handle, and reads no faster.
    database.pragma("mmap_size = 0");
    database.pragma("temp_store = MEMORY");
    // The maintenance thread checkpoints: a checkpoint inside a commit would stall the event loop.
    database.pragma("wal_autocheckpoint = 0");
    database.pragma(`journal_size_limit = ${WAL_KEPT_BYTES}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Sets how a new file is laid out; without effect once its first page is written. */
export function applyLayout(database: Database): void {
  database.pragma(`page_size = ${PAGE_BYTES}`);
  // Writes that page.
  database.pragma("auto_vacuum = INCREMENTAL");
}

/**
 * Runs a rare statement on the appender's handle, which otherwise never sleeps for a lock, and lets
 * it wait for other connections' writes.
 */
export function waitingForLocks<Result>(database: Database, work: () => Result): Result {
  database.pragma(`busy_timeout = ${LOCK_DEADLINE_MS}`);
  try {
    return work();
  } finally {
    database.pragma("busy_timeout = 0");
  }
}

/** Whether an error is SQLite's, with one of these primary result codes. */
export function isSqliteError(error: unknown, ...codes: string[]): boolean {
  return (
    error instanceof Sqlite.SqliteError &&
    codes.some((code) => error.code === code || error.code.startsWith(`${code}_`))
  );
}
