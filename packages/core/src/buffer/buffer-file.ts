import { statSync } from "node:fs";
import Sqlite, { type Database } from "better-sqlite3";
import { messageOf } from "../errors.ts";
import { openDatabase, type OpenOptions } from "./database.ts";
import { clearDamageMark, isDamage, readDamageMark } from "./salvage/damage-mark.ts";
import { salvage, type SalvageReport } from "./salvage/salvage.ts";
import { finishSwitch } from "./salvage/switch-files.ts";
import { ensureSchema } from "./schema.ts";
import { findDamage, findHeaderDamage, findWalDamage } from "./soundness.ts";

/** A buffer file that is open and sound as far as could be told. */
export interface OpenedBufferFile {
  database: Database;
  bufferId: string;
  /** Set when the file was damaged. */
  salvaged: SalvageReport | undefined;
}

/**
 * Opens the appender's handle on a buffer file, which is created when missing and salvaged when
 * damaged. Only for the holder of its lock, with no other handle open on a damaged file.
 */
export function openBufferFile(
  path: string,
  options: Pick<OpenOptions, "durability">,
): OpenedBufferFile {
  finishSwitch(path);
  const marked = readDamageMark(path)?.reason ?? findDamageBeforeOpening(path);
  if (marked !== undefined && exists(path)) return openSalvaged(path, marked, options);
  clearDamageMark(path);
  try {
    return { ...openChecked(path, options), salvaged: undefined };
  } catch (error) {
    if (!isDamage(error)) throw error;
    return openSalvaged(path, messageOf(error), options);
  }
}

function openSalvaged(
  path: string,
  reason: string,
  options: Pick<OpenOptions, "durability">,
): OpenedBufferFile {
  const salvaged = salvage(path, reason);
  return { ...openChecked(path, options), salvaged };
}

function openChecked(path: string, options: Pick<OpenOptions, "durability">) {
  const database = openDatabase(path, { ...options, create: true });
  try {
    const bufferId = ensureSchema(database);
    const damage = findDamage(database);
    if (damage !== undefined) throw new Sqlite.SqliteError(damage, "SQLITE_CORRUPT");
    // A write that reaches the disk: a full or read-only one is refused here, not at the first payload.
    database.exec("UPDATE progress SET one = 1");
    return { database, bufferId };
  } catch (error) {
    database.close();
    throw error;
  }
}

function findDamageBeforeOpening(path: string): string | undefined {
  return exists(path) ? (findHeaderDamage(path) ?? findWalDamage(path)) : undefined;
}

function exists(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0;
}
