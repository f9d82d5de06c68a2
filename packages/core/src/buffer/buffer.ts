import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import type { Database } from "better-sqlite3";
import type { CloserStack } from "../closer-stack.ts";
import type { CloseOptions, Component, Health, StartOptions } from "../component.ts";
import { parseOptions } from "../config.ts";
import { messageOf, MillraceError } from "../errors.ts";
import { Lifecycle } from "../lifecycle.ts";
import { LogThrottle } from "../log-throttle.ts";
import { defaultLogger, type Logger } from "../logger.ts";
import { assertNodeVersion } from "../node-version.ts";
import type { PressureSource } from "../pressure-options.ts";
import { publishBufferMetrics } from "./buffer-metrics.ts";
import {
  type BufferOptions,
  bufferOptionsSchema,
  type ResolvedBufferOptions,
} from "./buffer-options.ts";
import { isSqliteError, openDatabase, waitingForLocks } from "./database.ts";
import { lockForAppending } from "./file-lock.ts";
import { GroupCommit } from "./group-commit.ts";
import { startMaintenance } from "./maintenance.ts";
import { beat, countCrash, OWNER_HEARTBEAT_MS, registerOwner, removeOwner } from "./owners.ts";
import { RoomQueue } from "./room-queue.ts";
import { ensureSchema } from "./schema.ts";

/** How often a buffer that could not write tries whether it can again, in milliseconds. */
const PROBE_MS = 1_000;
const BEAT_RETRY_MS = 97;

/** Counters and depth of a buffer. Rows are payloads. */
export interface BufferStatus {
  /** Rows in the file: pending, claimed, and landed but not yet purged. */
  rows: number;
  bytes: number;
  /** Rows that nobody has claimed yet. */
  pendingRows: number;
  pendingBytes: number;
  /** Since the file was created. */
  appendedRows: number;
  purgedRows: number;
  /** Since this process started: refused because the buffer was full. */
  rejectedRows: number;
  /** Since this process started: refused because the disk would not take them. */
  failedRows: number;
  commits: number;
  /** When the oldest pending row was received, in Unix milliseconds. */
  oldestPendingAt: number | undefined;
}

/** A right to claim rows, held by one process; see {@link DurableBuffer.registerOwner}. */
export interface BufferOwner {
  readonly owner: string;
  /** Counts the death of one of its worker threads against the batches that the worker held. */
  countCrash(worker: number): void;
  /** Lets others take over at once whatever this owner still holds. */
  release(): void;
}

/** A durable first-in first-out buffer of payloads in one SQLite file. */
export interface DurableBuffer extends Component, PressureSource {
  readonly options: ResolvedBufferOptions;
  /** UUID of the file; the same for its whole life. */
  readonly bufferId: string;
  /**
   * Stores one payload as it is; resolves once it is durable. The bytes must not change until then.
   *
   * @param token name of the token it came with.
   * @throws {@link MillraceError} `BUFFER_FULL`, `BUFFER_WRITE_FAILED` or `BUFFER_CLOSED`: the payload
   * was not stored.
   */
  append(payload: Uint8Array, token?: string): Promise<void>;
  /** False when an append would be rejected, or would have to wait, for want of room. */
  hasRoom(): boolean;
  status(): BufferStatus;
  /** Registers this process as one that claims rows. Call it on a running buffer. */
  registerOwner(): BufferOwner;
}

/**
 * Opens a durable buffer: what {@link DurableBuffer.append} has taken survives the process.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options. `start` throws `BUFFER_LOCKED`,
 * `BUFFER_NOT_WRITABLE`, `BUFFER_SCHEMA_UNKNOWN` or `NODE_VERSION_UNSUPPORTED`.
 * @example
 * ```ts
 * import { createBuffer } from "@millrace/core/buffer";
 *
 * const buffer = createBuffer({ path: "telemetry/buffer.db" });
 * await buffer.start();
 * await buffer.append(Buffer.from("[]"));
 * await buffer.close();
 * ```
 */
export function createBuffer(options: BufferOptions): DurableBuffer {
  return new SqliteBuffer(parseOptions(bufferOptionsSchema, options, "createBuffer"));
}

class SqliteBuffer implements DurableBuffer {
  readonly name = "buffer";
  readonly options: ResolvedBufferOptions;
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;
  readonly #lifecycle: Lifecycle;
  #database: Database | undefined;
  #group: GroupCommit | undefined;
  #room: RoomQueue | undefined;
  #bufferId = "";
  #rejectedRows = 0;
  readonly #owners = new Set<string>();
  #beatRetry: NodeJS.Timeout | undefined;

  constructor(options: ResolvedBufferOptions) {
    this.options = options;
    this.#logger = options.logger ?? defaultLogger();
    this.#throttle = new LogThrottle(this.#logger);
    this.#lifecycle = new Lifecycle({
      name: this.name,
      open: (closers) => this.#open(closers),
      drain: () => {
        this.#room?.close(this.#notRunning());
        return this.#group?.settle();
      },
    });
  }

  get state() {
    return this.#lifecycle.state;
  }

  get closed() {
    return this.#lifecycle.closed;
  }

  get bufferId() {
    return this.#bufferId;
  }

  start(options?: StartOptions): Promise<void> {
    return this.#lifecycle.start(options);
  }

  close(options?: CloseOptions): Promise<void> {
    return this.#lifecycle.close(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async append(payload: Uint8Array, token = "default"): Promise<void> {
    const group = this.#group;
    const room = this.#room;
    if (group === undefined || room === undefined || this.state !== "running") {
      throw this.#notRunning();
    }
    // One value that cannot be stored would take the whole group commit down with it.
    if (!(payload instanceof Uint8Array)) throw new TypeError("payload must be a Uint8Array");
    if (typeof token !== "string") throw new TypeError("token must be a string");
    const enter = () => this.#commit(group, payload, token);
    if (!room.isWaiting && this.hasRoom()) return enter();
    if (this.options.whenFull === "reject" || !room.canWait(payload.byteLength)) {
      this.#rejectedRows++;
      throw this.#full();
    }
    return room.wait(payload.byteLength, enter);
  }

  async #commit(group: GroupCommit, payload: Uint8Array, token: string): Promise<void> {
    try {
      await group.append(payload, token);
    } catch (error) {
      const reason = messageOf(error);
      this.#throttle.warn("write", () => ({ err: error }), `buffer cannot write: ${reason}`);
      throw new MillraceError(
        "BUFFER_WRITE_FAILED",
        `${this.options.path} could not be written (${reason}): free disk space or check its permissions`,
        { cause: error, retryable: true },
      );
    }
  }

  hasRoom(): boolean {
    const group = this.#group;
    if (group === undefined || !this.#database?.open) return false;
    if (this.#fits(group)) return true;
    group.readProgress();
    return this.#fits(group);
  }

  utilisation(): number {
    const { rows, bytes } = this.#depth();
    return Math.max(rows / this.options.maxRows, bytes / this.options.maxBytes);
  }

  health(): Health {
    const failure = this.#group?.failure;
    if (failure !== undefined) {
      return { healthy: false, reason: `cannot write: ${messageOf(failure)}` };
    }
    return this.hasRoom() || this.state !== "running"
      ? { healthy: true }
      : { healthy: false, reason: "full" };
  }

  status(): BufferStatus {
    const progress = this.#database?.open ? this.#group?.readProgress() : this.#group?.progress;
    const { rows, bytes } = this.#depth();
    const counters = this.#group?.counters;
    return {
      rows,
      bytes,
      pendingRows: progress ? progress.appended_rows - progress.claimed_rows : 0,
      pendingBytes: progress ? progress.appended_bytes - progress.claimed_bytes : 0,
      appendedRows: progress?.appended_rows ?? 0,
      purgedRows: progress?.purged_rows ?? 0,
      rejectedRows: this.#rejectedRows,
      failedRows: counters?.failedRows ?? 0,
      commits: counters?.commits ?? 0,
      oldestPendingAt: this.#oldestPendingAt(),
    };
  }

  registerOwner(): BufferOwner {
    const database = this.#database;
    if (database === undefined || this.state !== "running") throw this.#notRunning();
    const owner = waitingForLocks(database, () => registerOwner(database));
    this.#owners.add(owner);
    return {
      owner,
      countCrash: (worker) => {
        if (database.open) waitingForLocks(database, () => countCrash(database, owner, worker));
      },
      release: () => {
        this.#owners.delete(owner);
        if (database.open) waitingForLocks(database, () => removeOwner(database, owner));
      },
    };
  }

  #beat(database: Database): void {
    clearTimeout(this.#beatRetry);
    try {
      for (const owner of this.#owners) beat(database, owner);
    } catch (error) {
      // A disk that takes no writes is reported by appends.
      this.#logger.debug({ err: error }, "owner heartbeat failed");
      // Beats and maintenance may be in step: the same lock could be held at every one of them.
      this.#beatRetry = setTimeout(() => this.#beat(database), BEAT_RETRY_MS);
      this.#beatRetry.unref();
    }
  }

  async #open(closers: CloserStack): Promise<void> {
    const { path } = this.options;
    let database: Database;
    let group: GroupCommit;
    try {
      assertNodeVersion();
      mkdirSync(dirname(path), { recursive: true });
      closers.push(lockForAppending(path));
      database = this.#openFile();
      closers.push(() => database.close());
      group = new GroupCommit(database, this.options);
    } catch (error) {
      if (MillraceError.is(error)) throw error;
      throw new MillraceError(
        "BUFFER_NOT_WRITABLE",
        `cannot use ${path} as a buffer (${messageOf(error)}): choose a path on a writable disk with free space`,
        { cause: error, details: { path } },
      );
    }
    this.#database = database;
    this.#group = group;
    this.#room = new RoomQueue({
      maxBytes: this.options.maxBlockedBytes,
      hasRoom: () => this.hasRoom(),
    });
    const heartbeat = setInterval(() => this.#beat(database), OWNER_HEARTBEAT_MS);
    heartbeat.unref();
    closers.push(() => {
      clearInterval(heartbeat);
      clearTimeout(this.#beatRetry);
    });
    const probe = setInterval(() => group.probe(), PROBE_MS);
    probe.unref();
    closers.push(() => clearInterval(probe));
    closers.push(await startMaintenance(this.options, this.#logger));
    closers.push(publishBufferMetrics(this));
  }

  #openFile(): Database {
    const { path } = this.options;
    try {
      return this.#openChecked();
    } catch (error) {
      if (!isSqliteError(error, "SQLITE_CORRUPT", "SQLITE_NOTADB")) throw error;
      const setAside = `${path}.corrupt-${Date.now()}`;
      for (const suffix of ["", "-wal", "-shm"]) {
        if (existsSync(path + suffix)) renameSync(path + suffix, setAside + suffix);
      }
      this.#logger.error(
        { path, setAside, err: error },
        "buffer file is damaged: set aside, starting a new one",
      );
      return this.#openChecked();
    }
  }

  #openChecked(): Database {
    const database = openDatabase(this.options.path, { ...this.options, create: true });
    try {
      this.#bufferId = ensureSchema(database);
      // A write that reaches the disk: a full or read-only one is refused here, not at the first payload.
      database.exec("UPDATE progress SET one = 1");
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  #fits(group: GroupCommit): boolean {
    const { rows, bytes } = this.#depth();
    return (
      rows + group.waitingRows < this.options.maxRows &&
      bytes + group.waitingBytes < this.options.maxBytes
    );
  }

  #depth(): { rows: number; bytes: number } {
    const progress = this.#group?.progress;
    if (progress === undefined) return { rows: 0, bytes: 0 };
    return {
      rows: progress.appended_rows - progress.purged_rows,
      bytes: progress.appended_bytes - progress.purged_bytes,
    };
  }

  #oldestPendingAt(): number | undefined {
    // Read after the totals, which notice a file that cannot be read.
    if (!this.#database?.open || this.#group?.failure !== undefined) return undefined;
    const oldest = this.#database
      .prepare(
        `SELECT received_at FROM payloads
         WHERE id > (SELECT claimed_id FROM progress) ORDER BY id LIMIT 1`,
      )
      .pluck()
      .get();
    return typeof oldest === "number" ? oldest : undefined;
  }

  #full(): MillraceError {
    const { rows, bytes } = this.#depth();
    return new MillraceError(
      "BUFFER_FULL",
      `${this.options.path} is full (${rows} rows, ${bytes} bytes): the drain is behind; raise maxRows or maxBytes, or see why it is`,
      { retryable: true, details: { rows, bytes } },
    );
  }

  #notRunning(): MillraceError {
    return new MillraceError(
      "BUFFER_CLOSED",
      `the buffer is ${this.state}: only a started one that is not closing takes payloads`,
      {
        details: { state: this.state },
      },
    );
  }
}
