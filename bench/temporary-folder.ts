import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Makes a folder under `TMPDIR` that is gone when this process is. */
export function createTemporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  // Children that were killed a moment ago may still be closing files.
  process.once("exit", () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }));
  return path;
}

/** Removes a SQLite file with what belongs to it. */
export function removeDatabase(path: string): void {
  for (const suffix of ["", "-wal", "-shm", ".lock"]) rmSync(path + suffix, { force: true });
}
