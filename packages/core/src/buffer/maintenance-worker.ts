/**
 * The thread that keeps a buffer file small: it moves the WAL into the file and gives free pages
 * back, so that neither ever happens inside an append.
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { openDatabase } from "./database.ts";

/** What the buffer passes to its maintenance thread. */
export interface MaintenanceData {
  path: string;
  durability: "process" | "power";
}

const TICK_MS = 250;
/** The WAL is reset, which makes writers wait a moment, only once it is this large. */
const WAL_RESET_BYTES = 16 * 1024 * 1024;
/** How long a reset may make writers wait for readers, in milliseconds. */
const RESET_WAIT_MS = 50;
/** Free space that is kept for the next burst. */
const FREE_KEPT_BYTES = 32 * 1024 * 1024;
/** Pages given back in one step. */
const VACUUM_PAGES = 256;

const { path, durability } = workerData as MaintenanceData;
const database = openDatabase(path, { durability });
database.pragma(`busy_timeout = ${RESET_WAIT_MS}`);
const pageBytes = Number(database.pragma("page_size", { simple: true }));
let framesAtLastReset = 0;

const timer = setInterval(() => {
  try {
    checkpoint();
    giveSpaceBack();
  } catch (error) {
    // A busy or full disk: the next tick tries again, and appends report what is wrong.
    parentPort?.postMessage({ error: String(error) });
  }
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

function checkpoint(): void {
  // First most of it without the write lock, then, with it, what came meanwhile.
  const frames = checkpointWal("PASSIVE");
  if (frames * pageBytes < WAL_RESET_BYTES || frames === framesAtLastReset) return;
  framesAtLastReset = checkpointWal("RESTART");
}

/** @returns frames in the WAL. */
function checkpointWal(mode: "PASSIVE" | "RESTART"): number {
  const [result] = database.pragma(`wal_checkpoint(${mode})`) as Array<{ log: number }>;
  return result?.log ?? 0;
}

function giveSpaceBack(): void {
  const free = Number(database.pragma("freelist_count", { simple: true })) * pageBytes;
  if (free > FREE_KEPT_BYTES) database.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`);
}
