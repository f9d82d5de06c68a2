import type { Database, Statement } from "better-sqlite3";
import { createBatchId } from "./batch-id.ts";
import { openDatabase } from "./database.ts";
import type { PayloadList } from "./grouped-payloads.ts";
import { findDeadOwners } from "./owners.ts";
import { type LostPayload, PayloadRows } from "./payload-rows.ts";
import { purge } from "./purge.ts";
import { withReserve } from "./reserve-file.ts";
import { noteDamage } from "./salvage/damage-mark.ts";
import { WriteTurns } from "./write-turns.ts";

/** Payloads that one worker has claimed. */
export interface ClaimedBatch {
  /** UUID; the same whenever these payloads are tried again. */
  batchId: string;
  payloads: PayloadList;
  /** Tries before this one; above 0 the batch may have landed already. */
  earlierAttempts: number;
  /** Worker threads that died with this batch in hand. */
  crashes: number;
  /** Ids of payloads that killed one of them, as far as {@link ClaimSession.suspect} told. */
  convictedIds: number[];
}

/** Bounds of one batch. */
export interface ClaimLimits {
  /** Payloads. */
  maxRows: number;
  /** Payload bytes; a single larger payload makes a batch of its own. */
  maxBytes: number;
}

/** Options of {@link ClaimSession}. */
export interface ClaimSessionOptions {
  /** The buffer file. */
  path: string;
  /** Id of the owning process, from the buffer's `registerOwner`. */
  owner: string;
  /** Number of this worker, from 0; shows as `100 + worker` in `buffer_rows`. */
  worker: number;
  /** Whether settling a claim waits for the disk. */
  durability: "process" | "power";
  /** Shared memory by which this session and the buffer's appends take turns, from the owner. */
  turns?: SharedArrayBuffer | undefined;
}

interface ClaimRow {
  batch_id: string;
  lo: number;
  hi: number;
  rows: number;
  bytes: number;
  state: "claimed" | "landed";
  attempts: number;
  crashes: number;
  convicted: string;
}

type ClaimRange = Pick<ClaimRow, "lo" | "hi" | "rows" | "bytes">;

/**
 * One worker's view of a buffer: claims batches by id range, reads them, gives them up when they
 * have landed. Has its own SQLite handle, so it belongs to one thread.
 *
 * Each method throws {@link MillraceError} `BUFFER_DAMAGED` when it meets damage in the file; the
 * buffer then fails, and salvages the file when it is started again.
 */
export class ClaimSession {
  /** The same for the life of the buffer file. */
  readonly bufferId: string;
  readonly #path: string;
  readonly #database: Database;
  readonly #owner: string;
  readonly #worker: number;
  readonly #turns: WriteTurns;
  readonly #sizes: Statement<[number], { id: number; bytes: number }>;
  readonly #range: Statement<[number, number], ClaimRange>;
  readonly #payloads: PayloadRows;

  constructor({ path, owner, worker, durability, turns }: ClaimSessionOptions) {
    this.#path = path;
    this.#turns = new WriteTurns(turns);
    this.#database = this.#guard(() => openDatabase(path, { durability }));
    // Waiting for locks is up to the turns.
    this.#database.pragma("busy_timeout = 0");
    this.#owner = owner;
    this.#worker = worker;
    this.bufferId = this.#guard(() =>
      String(
        this.#database.prepare("SELECT value FROM meta WHERE key = 'buffer_id'").pluck().get(),
      ),
    );
    this.#sizes = this.#database.prepare(
      "SELECT id, length(payload) AS bytes FROM payloads WHERE id > ? ORDER BY id",
    );
    this.#range = this.#database.prepare(
      `SELECT coalesce(min(id), 0) AS lo, coalesce(max(id), 0) AS hi, count(*) AS rows,
         coalesce(sum(bytes), 0) AS bytes
       FROM (SELECT id, length(payload) AS bytes FROM payloads WHERE id > ? ORDER BY id LIMIT ?)`,
    );
    this.#payloads = new PayloadRows(this.#database);
  }

  /** Pending payloads and when the oldest of them was received, in Unix milliseconds. */
  pending(): { rows: number; bytes: number; oldestReceivedAt: number | undefined } {
    const row = this.#guard(() =>
      this.#database
        .prepare<[], { rows: number; bytes: number; oldest: number | null }>(
          `SELECT appended_rows - claimed_rows AS rows, appended_bytes - claimed_bytes AS bytes,
             (SELECT received_at FROM payloads WHERE id > claimed_id ORDER BY id LIMIT 1) AS oldest
           FROM progress`,
        )
        .get(),
    );
    return {
      rows: row?.rows ?? 0,
      bytes: row?.bytes ?? 0,
      oldestReceivedAt: row?.oldest ?? undefined,
    };
  }

  /** Claims the oldest pending payloads; undefined when there are none. */
  claim(limits: ClaimLimits): ClaimedBatch | undefined {
    return this.#guard(() => {
      for (;;) {
        const row = this.#insertClaim(limits);
        if (row === undefined) return undefined;
        const batch = this.#read(row);
        if (batch !== undefined) return batch;
      }
    });
  }

  /**
   * Takes over one claim of a worker that died: an earlier one with this session's owner and number,
   * or any of a dead process. The batch keeps its id and its payloads. A batch that had landed is
   * only purged. Undefined when there is nothing to recover.
   *
   * @param except ids of batches that this session itself still has in hand.
   */
  recover(except: readonly string[] = []): ClaimedBatch | undefined {
    return this.#guard(() => {
      for (;;) {
        const row = this.#takeOver(except);
        if (row === undefined) return undefined;
        const batch = row.state === "claimed" ? this.#read(row) : undefined;
        if (batch !== undefined) return batch;
        purge(this.#database, row.batch_id, this.#turns);
      }
    });
  }

  /**
   * Gives up a batch that the destination holds durably: from now on it is not tried again, and its
   * payloads leave the file.
   */
  settle(batchId: string): void {
    this.#guard(() => {
      const note = this.#database.prepare("UPDATE claims SET state = 'landed' WHERE batch_id = ?");
      this.#turns.take(() => note.run(batchId));
      purge(this.#database, batchId, this.#turns);
    });
  }

  /** Notes which payload is about to be read, for whoever takes over if that kills this thread. */
  suspect(batchId: string, payloadId: number): void {
    this.#guard(() => {
      const note = this.#database.prepare("UPDATE claims SET suspect = ? WHERE batch_id = ?");
      this.#turns.take(() => note.run(payloadId, batchId));
    });
  }

  /** Ids of every batch that is claimed or not yet purged, whoever holds it. */
  openBatchIds(): string[] {
    const list = () => this.#database.prepare("SELECT batch_id FROM claims").pluck().all();
    return this.#guard(list) as string[];
  }

  close(): void {
    this.#database.close();
  }

  #measure(cursor: number, limits: ClaimLimits): ClaimRange | undefined {
    const whole = this.#range.get(cursor, limits.maxRows);
    if (whole !== undefined && whole.bytes <= limits.maxBytes) {
      return whole.rows === 0 ? undefined : whole;
    }
    let lo = 0;
    let hi = 0;
    let rows = 0;
    let bytes = 0;
    for (const row of this.#sizes.iterate(cursor)) {
      if (rows > 0 && bytes + row.bytes > limits.maxBytes) break;
      if (rows === 0) lo = row.id;
      hi = row.id;
      rows++;
      bytes += row.bytes;
      if (rows >= limits.maxRows) break;
    }
    return rows === 0 ? undefined : { lo, hi, rows, bytes };
  }

  #insertClaim(limits: ClaimLimits): ClaimRow | undefined {
    const claim = this.#database.transaction((): ClaimRow | undefined => {
      const cursor = Number(
        this.#database.prepare("SELECT claimed_id FROM progress").pluck().get(),
      );
      const range = this.#measure(cursor, limits);
      if (range === undefined) return undefined;
      const row: ClaimRow = {
        batch_id: createBatchId(),
        ...range,
        state: "claimed",
        attempts: 1,
        crashes: 0,
        convicted: "[]",
      };
      this.#database
        .prepare(
          `INSERT INTO claims(batch_id, owner, worker, lo, hi, rows, bytes, state, attempts, claimed_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, 'claimed', 1, ?)`,
        )
        .run(
          row.batch_id,
          this.#owner,
          this.#worker,
          row.lo,
          row.hi,
          row.rows,
          row.bytes,
          Date.now(),
        );
      this.#database
        .prepare(
          `UPDATE progress SET claimed_id = ?, claimed_rows = claimed_rows + ?,
             claimed_bytes = claimed_bytes + ?`,
        )
        .run(row.hi, row.rows, row.bytes);
      return row;
    });
    return this.#turns.take(() => claim.immediate());
  }

  /** @returns undefined when damage has left none of its payloads. */
  #read(row: ClaimRow): ClaimedBatch | undefined {
    const { payloads, lost } = this.#payloads.read(row.lo, row.hi, row.bytes / row.rows);
    if (lost.length > 0) this.#giveUp(row, lost);
    if (payloads.length === 0) return undefined;
    return {
      batchId: row.batch_id,
      earlierAttempts: row.attempts - 1,
      crashes: row.crashes,
      convictedIds: JSON.parse(row.convicted) as number[],
      payloads,
    };
  }

  /** Takes payloads whose bytes have changed on disk out of their batch, and counts them as lost. */
  #giveUp(row: ClaimRow, lost: readonly LostPayload[]): void {
    const bytes = lost.reduce((sum, one) => sum + one.bytes, 0);
    const giveUp = this.#database.transaction(() => {
      const remove = this.#database.prepare("DELETE FROM payloads WHERE id = ?");
      for (const { id } of lost) remove.run(id);
      this.#database
        .prepare("UPDATE claims SET rows = rows - ?, bytes = bytes - ? WHERE batch_id = ?")
        .run(lost.length, bytes, row.batch_id);
      this.#database
        .prepare("UPDATE progress SET lost_rows = lost_rows + ?, lost_bytes = lost_bytes + ?")
        .run(lost.length, bytes);
      this.#database
        .prepare("DELETE FROM claims WHERE batch_id = ? AND rows = 0")
        .run(row.batch_id);
    });
    this.#turns.take(() => giveUp.immediate());
  }

  #takeOver(except: readonly string[]): ClaimRow | undefined {
    const hasClaims = this.#database.prepare("SELECT 1 FROM claims LIMIT 1").get();
    if (hasClaims === undefined) return undefined;
    const takeOver = this.#database.transaction((): ClaimRow | undefined => {
      const dead = JSON.stringify(findDeadOwners(this.#database, this.#owner));
      const row = this.#database
        .prepare<[string, number, string, string], ClaimRow>(
          `SELECT * FROM claims
           WHERE (
             (owner = ? AND worker = ?)
             OR owner NOT IN (SELECT owner FROM owners)
             OR owner IN (SELECT value FROM json_each(?))
           ) AND batch_id NOT IN (SELECT value FROM json_each(?))
           ORDER BY lo LIMIT 1`,
        )
        .get(this.#owner, this.#worker, dead, JSON.stringify(except));
      if (row === undefined) return undefined;
      this.#database
        .prepare(
          `UPDATE claims
           SET owner = ?, worker = ?, attempts = attempts + 1, suspect = NULL, claimed_at = ?
           WHERE batch_id = ?`,
        )
        .run(this.#owner, this.#worker, Date.now(), row.batch_id);
      this.#database
        .prepare(
          `DELETE FROM owners WHERE owner IN (SELECT value FROM json_each(?))
             AND owner NOT IN (SELECT owner FROM claims)`,
        )
        .run(dead);
      return { ...row, attempts: row.attempts + 1 };
    });
    return this.#turns.take(() => takeOver.immediate());
  }

  /** Everything that is done to the file goes through here. Each of its steps may be done again. */
  #guard<Result>(work: () => Result): Result {
    try {
      return withReserve(this.#path, () => this.#turns.waitingForLock(work));
    } catch (error) {
      throw noteDamage(this.#path, error);
    }
  }
}
