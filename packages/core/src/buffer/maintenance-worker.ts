/**
 * The thread that keeps a buffer file small: it moves the WAL into the file and gives free pages
 * back, so that neither ever happens inside an append.
 *
 * @module
 */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../errors.ts";
import { openDatabase } from "./database.ts";
import { isReserved, reserveOf, withReserve } from "./reserve-file.ts";
import { isDamage } from "./salvage/damage-mark.ts";
import { isWalLarge, WAL_RESET_BYTES, walFileBytes } from "./wal-size.ts";

/** What the buffer passes to its maintenance thread. */
export interface MaintenanceData {
  path: string;
  durability: "process" | "power";
}

/** What the thread says: that it is ready, or what keeps it from its work. */
export type MaintenanceMessage =
  | { type: "ready" }
  | { type: "put off"; error: string }
  | { type: "damaged"; error: string };

const TICK_MS = 250;
/** A reset cuts a WAL file that is larger than this, as SQLite does by itself only at the next write. */
const WAL_CUT_BYTES = 64 * 1024 * 1024;
/** How long a reset may make writers wait for readers, in milliseconds. */
const RESET_WAIT_MS = 50;
/** Checkpoints right before a reset, so that it finds little left to do while writers wait. */
const MAX_ROUNDS = 4;
/** One that took no longer leaves next to nothing, in milliseconds. */
const SHORT_ROUND_MS = 2;
/** After a reset that a reader was in the way of: until the next try, in milliseconds. */
const RESET_PAUSE_MS = 1_000;
/** Free space that is kept for the next burst. */
const FREE_KEPT_BYTES = 32 * 1024 * 1024;
/** Pages given back in one step. */
const VACUUM_PAGES = 256;

const { path, durability } = workerData as MaintenanceData;
const post = (message: MaintenanceMessage) => parentPort?.postMessage(message);
const database = openDatabase(path, { durability });
database.pragma(`busy_timeout = ${RESET_WAIT_MS}`);
const pageBytes = Number(database.pragma("page_size", { simple: true }));
const reserve = reserveOf(path);
let framesAtLastReset = 0;
let nextResetAt = 0;

// A process that is killed again and again soon after its start would never come to it later.
if (isWalLarge(path)) attempt(() => checkpointWal("TRUNCATE"));
post({ type: "ready" });

const timer = setInterval(() => {
  attempt(() => {
    const isTight = isDiskTight();
    // Moving the WAL into the file may make that longer first.
    if (isTight) withReserve(path, () => checkpoint(isTight));
    else checkpoint(isTight);
    giveSpaceBack(isTight);
  });
}, TICK_MS);

parentPort?.once("message", () => {
  clearInterval(timer);
  try {
    database.pragma("wal_checkpoint(TRUNCATE)");
  } catch {
    // The WAL stays and is read at the next start.
  }
  database.close();
  parentPort?.close();
});

function attempt(work: () => void): void {
  try {
    work();
  } catch (error) {
    // A busy or full disk: the next tick tries again, and appends report what is wrong.
    post({ type: isDamage(error) ? "damaged" : "put off", error: messageOf(error) });
  }
}

/** On a full disk every page counts: the WAL's, and those that are kept for the next burst. */
function isDiskTight(): boolean {
  const { bavail, bsize } = statfsSync(dirname(path));
  return !isReserved(reserve) || bavail * bsize < 2 * reserve.bytes + walFileBytes(path);
}

function checkpoint(isTight: boolean): void {
  // First most of it without the write lock, then, with it, what came meanwhile.
  const { log: frames } = checkpointWal("PASSIVE");
  const threshold = isTight ? pageBytes : WAL_RESET_BYTES;
  if (frames * pageBytes < threshold || frames === framesAtLastReset) return;
  if (performance.now() < nextResetAt) return;
  // Each round leaves what is written during it, less every time.
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const startedAt = performance.now();
    checkpointWal("PASSIVE");
    if (performance.now() - startedAt <= SHORT_ROUND_MS) break;
  }
  const isToBeCut = isTight || walFileBytes(path) > WAL_CUT_BYTES;
  const { busy, log } = checkpointWal(isToBeCut ? "TRUNCATE" : "RESTART");
  if (busy === 0) framesAtLastReset = log;
  else nextResetAt = performance.now() + RESET_PAUSE_MS;
}

function checkpointWal(mode: "PASSIVE" | "RESTART" | "TRUNCATE"): { busy: number; log: number } {
  const [result] = database.pragma(`wal_checkpoint(${mode})`) as Array<{
    busy: number;
    log: number;
  }>;
  return result ?? { busy: 0, log: 0 };
}

function giveSpaceBack(isTight: boolean): void {
  const free = Number(database.pragma("freelist_count", { simple: true })) * pageBytes;
  const kept = isTight ? 0 : FREE_KEPT_BYTES;
  if (free > kept) database.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`);
}
