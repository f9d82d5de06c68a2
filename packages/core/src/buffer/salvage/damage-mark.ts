import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { messageOf, MillraceError } from "../../errors.ts";
import { isSqliteError } from "../database.ts";

/** What the file beside a damaged buffer file says. */
export interface DamageMark {
  reason: string;
  /** Set once the salvaged file is complete: where the damaged one is being moved to. */
  setAside?: string | undefined;
}

/** Whether SQLite says that the file itself is wrong. */
export function isDamage(error: unknown): boolean {
  return isSqliteError(error, "SQLITE_CORRUPT", "SQLITE_NOTADB");
}

/** Notes that a file has to be salvaged before it is used again; for other processes and threads too. */
export function markDamaged(path: string, mark: DamageMark): void {
  const markPath = damageMarkPath(path);
  writeFileSync(`${markPath}.new`, JSON.stringify(mark), { flush: true });
  renameSync(`${markPath}.new`, markPath);
}

export function readDamageMark(path: string): DamageMark | undefined {
  let text: string;
  try {
    text = readFileSync(damageMarkPath(path), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as DamageMark;
  } catch {
    // An operator may make one by hand.
    return { reason: text.trim() };
  }
}

export function clearDamageMark(path: string): void {
  rmSync(damageMarkPath(path), { force: true });
}

export function damageMarkPath(path: string): string {
  return `${path}.damaged`;
}

/** What to throw on a file that is damaged. */
export function damaged(path: string, cause: unknown): MillraceError {
  return new MillraceError(
    "BUFFER_DAMAGED",
    `${path} is damaged (${messageOf(cause)}): start again, which salvages what can be read`,
    { cause, retryable: true, details: { path } },
  );
}

/** Notes damage when a read or write met it. @returns what to throw in its place, or the error as it was. */
export function noteDamage(path: string, error: unknown): unknown {
  if (!isDamage(error)) return error;
  tryMarkDamaged(path, messageOf(error));
  return damaged(path, error);
}

/** Marks a file as damaged, unless the disk takes no file either: whoever meets it next tries again. */
export function tryMarkDamaged(path: string, reason: string): void {
  try {
    if (readDamageMark(path) === undefined) markDamaged(path, { reason });
  } catch {
    // As said.
  }
}
