import Sqlite, { type Database } from "better-sqlite3";
import { existsSync } from "node:fs";
import { assertNodeVersion } from "../../node-version.ts";
import { assertBufferFile } from "../schema.ts";

/** Opens a buffer file without changing anything in it, also while a process uses it. */
export function openReadOnly(path: string): Database {
  assertNodeVersion();
  assertExists(path);
  const database = new Sqlite(path, { readonly: true, fileMustExist: true, timeout: 5_000 });
  try {
    assertBufferFile(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

export function assertExists(path: string): void {
  if (existsSync(path)) return;
  throw new Error(`there is no file ${path}`);
}
