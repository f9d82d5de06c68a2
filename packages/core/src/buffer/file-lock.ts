import Sqlite from "better-sqlite3";
import { MillraceError } from "../errors.ts";
import { isSqliteError } from "./database.ts";

/**
 * Takes the right to append to a buffer file, held until the returned function is called or the
 * process dies: ids are handed out in memory, so there can be only one appender.
 *
 * The lock is SQLite's own on an empty file beside the buffer, thus the kernel's: it cannot be left
 * behind by a killed process.
 *
 * @throws {@link MillraceError} `BUFFER_LOCKED` when another process, or another buffer of this one,
 * has it.
 */
export function lockForAppending(path: string): () => void {
  const lock = new Sqlite(`${path}.lock`, { timeout: 0 });
  try {
    lock.pragma("journal_mode = MEMORY");
    lock.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    lock.close();
    if (!isSqliteError(error, "SQLITE_BUSY")) throw error;
    throw new MillraceError(
      "BUFFER_LOCKED",
      `${path} is in use by another process: give each agent its own buffer path, or stop the other one`,
      { cause: error, details: { path } },
    );
  }
  return () => lock.close();
}
