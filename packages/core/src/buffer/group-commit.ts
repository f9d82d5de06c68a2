import type { Database, Statement } from "better-sqlite3";
import { MillraceError } from "../errors.ts";
import { bufferFull } from "./buffer-errors.ts";
import { checksumOf } from "./checksum.ts";
import { isSqliteError, LOCK_DEADLINE_MS } from "./database.ts";
import { dropOldest } from "./drop-oldest.ts";
import { GroupPacing } from "./group-pacing.ts";
import { depthOf, type Progress } from "./schema.ts";
import { WriteTurns } from "./write-turns.ts";

const RETRY_MS = 1;
/** A group that is older goes first, whoever's turn it is, in milliseconds. */
const MAX_YIELD_MS = 50;

interface PendingAppend {
  payload: Uint8Array;
  token: string;
  receivedAt: number;
  /** `performance.now()` when it arrived. */
  queuedAt: number;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export interface GroupLimits {
  groupMaxRows: number;
  groupMaxBytes: number;
  groupMaxWaitMs: number;
  maxRows: number;
  maxBytes: number;
  whenFull: "reject" | "block" | "drop-oldest";
}

/** Says why so many bytes must not be written now. */
export type RefuseBytes = (bytes: number) => MillraceError | undefined;

/** Counters that the committer keeps in plain numbers. */
export interface GroupCommitCounters {
  commits: number;
  rows: number;
  bytes: number;
  failedRows: number;
  /** Admitted, then refused: what should have been dropped for them had been claimed meanwhile. */
  rejectedRows: number;
  /** Admitted, then refused: the disk had become full meanwhile. */
  diskLowRows: number;
}

/**
 * Turns single appends into group commits: what arrives within {@link GroupLimits.groupMaxWaitMs}
 * is one transaction, and less than that is waited when there is no more to come.
 */
export class GroupCommit {
  readonly counters: GroupCommitCounters = {
    commits: 0,
    rows: 0,
    bytes: 0,
    failedRows: 0,
    rejectedRows: 0,
    diskLowRows: 0,
  };
  /** The totals as of the last commit or {@link GroupCommit.readProgress}. */
  progress: Progress;
  /** What the last commit failed with; undefined once one has succeeded. */
  failure: unknown;
  /** How claims and purges get between the commits. */
  readonly turns = new WriteTurns();

  readonly #database: Database;
  readonly #limits: GroupLimits;
  readonly #pacing: GroupPacing;
  readonly #refuse: RefuseBytes;
  readonly #begin: Statement;
  readonly #commitStatement: Statement;
  readonly #insert: Statement;
  readonly #advance: Statement;
  readonly #readProgress: Statement<[], Progress>;
  readonly #tokenIds = new Map<string, number>();
  #group: PendingAppend[] = [];
  #groupBytes = 0;
  #openedAt = 0;
  #isScheduled = false;
  #waitTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;

  constructor(database: Database, limits: GroupLimits, refuse: RefuseBytes = () => undefined) {
    this.#refuse = refuse;
    this.#database = database;
    this.#limits = limits;
    this.#pacing = new GroupPacing(limits.groupMaxWaitMs);
    // A held write lock is waited for on timers, not by sleeping inside SQLite.
    database.pragma("busy_timeout = 0");
    this.#begin = database.prepare("BEGIN IMMEDIATE");
    this.#commitStatement = database.prepare("COMMIT");
    this.#insert = database.prepare("INSERT INTO payloads VALUES (?, ?, ?, ?, ?)");
    this.#advance = database.prepare(
      "UPDATE progress SET appended_id = ?, appended_rows = ?, appended_bytes = ?",
    );
    this.#readProgress = database.prepare<[], Progress>("SELECT * FROM progress");
    this.progress = this.#readFirstProgress();
    const tokens = database.prepare<[], { id: number; name: string }>("SELECT * FROM tokens");
    for (const { id, name } of tokens.all()) this.#tokenIds.set(name, id);
  }

  /** Rows not yet committed. */
  get waitingRows(): number {
    return this.#group.length;
  }

  /** Bytes not yet committed. */
  get waitingBytes(): number {
    return this.#groupBytes;
  }

  /** Resolves when the payload is committed. The caller must not change the bytes until then. */
  append(payload: Uint8Array, token: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const queuedAt = performance.now();
      if (this.#group.length === 0) this.#openedAt = queuedAt;
      this.#group.push({ payload, token, receivedAt: Date.now(), queuedAt, resolve, reject });
      this.#groupBytes += payload.byteLength;
      if (!this.#isScheduled && this.#retryTimer === undefined) this.#schedule();
    });
  }

  /** Commits what is waiting now. */
  flush(): void {
    while (this.#group.length > 0 && this.#retryTimer === undefined) this.#commit();
  }

  /** Waits until nothing is uncommitted. */
  async settle(): Promise<void> {
    while (this.#group.length > 0) {
      this.flush();
      if (this.#group.length > 0) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** The totals as they are now, or, when the file cannot be read, as they were last. */
  readProgress(): Progress {
    try {
      this.progress = this.#readFirstProgress();
    } catch (error) {
      // Whoever asks for a depth has no use for this; health reports it, the next commit clears it.
      this.failure = error;
    }
    return this.progress;
  }

  /** Tries again whether the file takes writes, after a failure; a commit does the same. */
  probe(): void {
    if (this.failure === undefined || this.#group.length > 0) return;
    const { appended_id: lastId, appended_rows: rows, appended_bytes: bytes } = this.progress;
    try {
      this.#advance.run(lastId, rows, bytes);
      this.failure = undefined;
    } catch (error) {
      if (!isSqliteError(error, "SQLITE_BUSY")) this.failure = error;
    }
  }

  /** Looks once all that came in this turn of the event loop is there. */
  #schedule(): void {
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#look();
    });
  }

  /** Commits a group that is large or old enough; else looks again when more comes, or it has waited. */
  #look(): void {
    const rows = this.#group.length;
    if (rows === 0) return;
    const isFull =
      rows >= this.#limits.groupMaxRows || this.#groupBytes >= this.#limits.groupMaxBytes;
    const waitedMs = performance.now() - this.#openedAt;
    if (!isFull && !this.#pacing.isDue(rows, waitedMs)) {
      // Timers count whole milliseconds, and cut off what is beyond.
      this.#waitTimer ??= setTimeout(
        () => {
          this.#waitTimer = undefined;
          this.#look();
        },
        Math.ceil(this.#pacing.maxWaitMs - waitedMs),
      );
      return;
    }
    clearTimeout(this.#waitTimer);
    this.#waitTimer = undefined;
    this.#pacing.committed(rows, waitedMs);
    this.flush();
  }

  #commit(): void {
    const group = this.#takeGroup();
    if (this.turns.isThreadsTurn && performance.now() - (group[0]?.queuedAt ?? 0) < MAX_YIELD_MS) {
      this.#putBack(group);
      return;
    }
    let bytes = 0;
    for (const { payload } of group) bytes += payload.byteLength;
    const refusal = this.#refuse(bytes);
    if (refusal !== undefined) {
      this.counters.diskLowRows += group.length;
      for (const { reject } of group) reject(refusal);
      return;
    }
    const newTokens: string[] = [];
    let isStored: boolean;
    try {
      // Left open only when a rollback failed too; nothing in it was acknowledged.
      if (this.#database.inTransaction) this.#database.exec("ROLLBACK");
      this.#begin.run();
      try {
        // The last payload before the limit may go beyond it.
        isStored = this.#makeRoom(
          group.length,
          bytes - (group.at(-1)?.payload.byteLength ?? 0) + 1,
        );
        if (isStored) this.#store(group, bytes, newTokens);
        const progress = this.#readProgress.get();
        this.#commitStatement.run();
        this.turns.appenderHasWritten();
        if (progress !== undefined) this.progress = progress;
      } catch (error) {
        for (const token of newTokens) this.#tokenIds.delete(token);
        if (this.#database.inTransaction) this.#database.exec("ROLLBACK");
        throw error;
      }
    } catch (error) {
      this.#fail(error, group);
      return;
    }
    this.failure = undefined;
    if (!isStored) {
      this.#putBack(group);
      return;
    }
    this.counters.commits++;
    this.counters.rows += group.length;
    this.counters.bytes += bytes;
    for (const { resolve } of group) resolve();
  }

  #store(group: readonly PendingAppend[], bytes: number, newTokens: string[]): void {
    const { appended_id: lastId, appended_rows: rows, appended_bytes: allBytes } = this.progress;
    let id = lastId;
    for (const { payload, token, receivedAt } of group) {
      const tokenId = this.#tokenIds.get(token) ?? this.#addToken(token, newTokens);
      const checksum = checksumOf(++id, receivedAt, tokenId, payload);
      this.#insert.run(id, receivedAt, tokenId, checksum, payload);
    }
    this.#advance.run(id, rows + group.length, allBytes + bytes);
  }

  /**
   * With `drop-oldest`, drops one step of what is in the way.
   *
   * @returns false when another step is needed before the group fits.
   */
  #makeRoom(rows: number, bytes: number): boolean {
    if (this.#limits.whenFull !== "drop-oldest") return true;
    const depth = depthOf(this.#readFirstProgress());
    const excess = {
      rows: depth.rows + rows - this.#limits.maxRows,
      bytes: depth.bytes + bytes - this.#limits.maxBytes,
    };
    if (excess.rows <= 0 && excess.bytes <= 0) return true;
    const dropped = dropOldest(this.#database, excess);
    if (dropped.rows === 0) throw bufferFull(this.#database.name, depth);
    return dropped.rows >= excess.rows && dropped.bytes >= excess.bytes;
  }

  /** Tries a group again in the next turn of the event loop. */
  #putBack(group: PendingAppend[]): void {
    this.#group = [...group, ...this.#group];
    for (const { payload } of group) this.#groupBytes += payload.byteLength;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.flush();
    }, RETRY_MS);
  }

  #takeGroup(): PendingAppend[] {
    const { groupMaxRows, groupMaxBytes } = this.#limits;
    let rows = 0;
    let bytes = 0;
    for (const { payload } of this.#group) {
      if (rows >= groupMaxRows || (rows > 0 && bytes + payload.byteLength > groupMaxBytes)) break;
      rows++;
      bytes += payload.byteLength;
    }
    const taken = rows === this.#group.length ? this.#group : this.#group.slice(0, rows);
    this.#group = rows === this.#group.length ? [] : this.#group.slice(rows);
    this.#groupBytes -= bytes;
    return taken;
  }

  #fail(error: unknown, group: PendingAppend[]): void {
    const waitedMs = performance.now() - (group[0]?.queuedAt ?? 0);
    if (isSqliteError(error, "SQLITE_BUSY") && waitedMs < LOCK_DEADLINE_MS) {
      this.turns.appenderWants();
      this.#putBack(group);
      return;
    }
    if (MillraceError.is(error)) {
      this.counters.rejectedRows += group.length;
    } else {
      this.failure = error;
      this.counters.failedRows += group.length;
    }
    for (const { reject } of group) reject(error);
  }

  #addToken(name: string, newTokens: string[]): number {
    const add = this.#database.prepare("INSERT INTO tokens(name) VALUES (?)");
    const id = Number(add.run(name).lastInsertRowid);
    this.#tokenIds.set(name, id);
    newTokens.push(name);
    return id;
  }

  #readFirstProgress(): Progress {
    const progress = this.#readProgress.get();
    if (progress === undefined) throw new Error(`${this.#database.name} has no progress row`);
    return progress;
  }
}
