import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname, uptime } from "node:os";
import type { Database } from "better-sqlite3";

/** How often a living owner says so, in milliseconds. */
export const OWNER_HEARTBEAT_MS = 2_000;
/** Silence after which an owner counts as dead even though its pid exists, in milliseconds. */
const OWNER_SILENCE_MS = 15_000;

/** A process that claims batches. */
interface Owner {
  owner: string;
  pid: number;
  boot_id: string;
  heartbeat_at: number;
}

/** Registers this process as an owner of claims. @returns its id, a UUID. */
export function registerOwner(database: Database): string {
  const owner = randomUUID();
  forgetDeadOwners(database, owner);
  database
    .prepare("INSERT INTO owners(owner, pid, boot_id, heartbeat_at) VALUES (?, ?, ?, ?)")
    .run(owner, process.pid, bootId(), Date.now());
  return owner;
}

/** Says that an owner still lives. */
export function beat(database: Database, owner: string): void {
  database.prepare("UPDATE owners SET heartbeat_at = ? WHERE owner = ?").run(Date.now(), owner);
}

/** Takes an owner off the list; whatever it still holds is free to be taken over at once. */
export function removeOwner(database: Database, owner: string): void {
  database.prepare("DELETE FROM owners WHERE owner = ?").run(owner);
}

/** Counts the death of a worker thread against the batches that it held. */
export function countCrash(database: Database, owner: string, worker: number): void {
  database
    .prepare(
      `UPDATE claims
       SET crashes = crashes + 1,
         convicted = iif(suspect IS NULL, convicted, json_insert(convicted, '$[#]', suspect)),
         suspect = NULL
       WHERE owner = ? AND worker = ? AND state = 'claimed'`,
    )
    .run(owner, worker);
}

/** Owners whose claims another may take over, `self` never among them. */
export function findDeadOwners(database: Database, self: string): string[] {
  const owners = database.prepare<[], Owner>("SELECT * FROM owners").all();
  return owners.filter((row) => row.owner !== self && !isAlive(row)).map(({ owner }) => owner);
}

/** Every killed process leaves one behind. */
function forgetDeadOwners(database: Database, self: string): void {
  const forget = database.prepare(
    "DELETE FROM owners WHERE owner = ? AND owner NOT IN (SELECT owner FROM claims)",
  );
  for (const owner of findDeadOwners(database, self)) forget.run(owner);
}

/**
 * Mistaking a living owner for a dead one costs double work, never double rows: both work on the
 * same batch id, and the destination's ledger takes it once.
 */
function isAlive({ pid, boot_id, heartbeat_at }: Owner): boolean {
  if (boot_id !== bootId()) return false;
  // A container restarts under the same pid: ours cannot be another living owner's.
  if (pid === process.pid && heartbeat_at < PROCESS_STARTED_AT) return false;
  if (Date.now() - heartbeat_at > OWNER_SILENCE_MS) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

const PROCESS_STARTED_AT = Date.now() - process.uptime() * 1_000;

let cachedBootId: string | undefined;

function bootId(): string {
  cachedBootId ??= readBootId();
  return cachedBootId;
}

function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    // Elsewhere than Linux: the minute of boot tells one boot from the next.
    return `${hostname()}-${Math.round((Date.now() / 1_000 - uptime()) / 60)}`;
  }
}
