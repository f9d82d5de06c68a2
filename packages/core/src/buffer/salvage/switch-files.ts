import { existsSync, readdirSync, readlinkSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { MillraceError } from "../../errors.ts";
import { clearDamageMark, markDamaged, readDamageMark } from "./damage-mark.ts";

/** Where the salvaged file is made. */
export function salvagingPath(path: string): string {
  return `${path}.salvaging`;
}

/** Throws away a salvaged file that was not finished. */
export function removeUnfinished(path: string): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(salvagingPath(path) + suffix, { force: true });
}

/**
 * Moves the damaged file aside and the salvaged one into its place. A kill in between is made up
 * for by {@link finishSwitch}: which step it was shows in the files.
 */
export function switchFiles(path: string, reason: string): string {
  const setAside = freeName(`${path}.corrupt-${Date.now()}`);
  markDamaged(path, { reason, setAside });
  finishSwitch(path);
  return setAside;
}

/** Ends a switch that was begun; does nothing otherwise. */
export function finishSwitch(path: string): void {
  const setAside = readDamageMark(path)?.setAside;
  if (setAside === undefined) return;
  if (existsSync(salvagingPath(path))) {
    // Until the last rename whatever has the buffer's name is the damaged file's. SQLite would
    // replay the old WAL into any file that it stands beside.
    for (const suffix of ["-wal", "-shm", ""]) {
      if (existsSync(path + suffix)) renameSync(path + suffix, setAside + suffix);
    }
    renameSync(salvagingPath(path), path);
  }
  clearDamageMark(path);
}

function freeName(wanted: string): string {
  let name = wanted;
  for (let count = 1; existsSync(name); count++) name = `${wanted}-${count}`;
  return name;
}

/**
 * SQLite removes a WAL by name when the last handle closes: one left open on the damaged file would
 * take away the new file's. Only Linux tells which files this process has open.
 *
 * @throws {@link MillraceError} `BUFFER_LOCKED`.
 */
export function assertNotOpen(path: string): void {
  const wanted = resolve(path);
  let links: string[];
  try {
    links = readdirSync("/proc/self/fd");
  } catch {
    return;
  }
  const isOpen = links.some((link) => {
    try {
      return readlinkSync(join("/proc/self/fd", link)) === wanted;
    } catch {
      return false;
    }
  });
  if (!isOpen) return;
  throw new MillraceError(
    "BUFFER_LOCKED",
    `${basename(path)} in ${dirname(wanted)} is damaged but still open in this process: close what drains it, then start again`,
    { details: { path } },
  );
}
