import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Database } from "better-sqlite3";
import type { CloserStack } from "../closer-stack.ts";
import type { Health } from "../component.ts";
import { parseOptions } from "../config.ts";
import { messageOf, MillraceError } from "../errors.ts";
import { type Listener, TypedEmitter } from "../events.ts";
import { LifecycleComponent } from "../lifecycle-component.ts";
import { Lifecycle } from "../lifecycle.ts";
import { LogThrottle } from "../log-throttle.ts";
import { defaultLogger, type Logger } from "../logger.ts";
import { assertNodeVersion } from "../node-version.ts";
import {
  bufferFull,
  diskLow,
  notRunning,
  notWritable,
  walFull,
  writeFailed,
} from "./buffer-errors.ts";
import { openBufferFile, type OpenedBufferFile } from "./buffer-file.ts";
import { publishBufferMetrics } from "./buffer-metrics.ts";
import {
  type BufferOptions,
  bufferOptionsSchema,
  type ResolvedBufferOptions,
} from "./buffer-options.ts";
import type { BufferStatus } from "./buffer-status.ts";
import { ClaimOwners } from "./claim-owners.ts";
import { isSqliteError } from "./database.ts";
import { DiskWatch } from "./disk-watch.ts";
import type { BufferEvents, BufferOwner, DurableBuffer } from "./durable-buffer.ts";
import { type FileStatus, NO_FILE_STATUS, readFileStatus } from "./file-status.ts";
import { lockForAppending } from "./file-lock.ts";
import { GroupCommit } from "./group-commit.ts";
import { startMaintenance } from "./maintenance.ts";
import { RoomQueue } from "./room-queue.ts";
import { damaged, isDamage, readDamageMark, tryMarkDamaged } from "./salvage/damage-mark.ts";
import type { SalvageReport } from "./salvage/salvage.ts";
import { depthOf, type Progress } from "./schema.ts";

/** How often a buffer looks whether its disk has room and its file is sound, in milliseconds. */
const WATCH_MS = 500;

/**
 * Opens a durable buffer: what {@link DurableBuffer.append} has taken survives the process.
 *
 * A damaged file is salvaged at `start`. Damage that shows later makes the buffer fail with
 * `BUFFER_DAMAGED`, which ends an application under `runUntilSignal`; the next start salvages it.
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

/** What only a buffer that has been started has. */
interface OpenParts {
  database: Database;
  group: GroupCommit;
  room: RoomQueue;
  owners: ClaimOwners;
}

class SqliteBuffer extends LifecycleComponent implements DurableBuffer {
  readonly name = "buffer";
  readonly options: ResolvedBufferOptions;
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;
  protected readonly lifecycle: Lifecycle;
  readonly #emitter: TypedEmitter<BufferEvents>;
  readonly #disk: DiskWatch;
  readonly #refused = { full: 0, wal: 0, diskLow: 0 };
  readonly #salvages = { complete: 0, partial: 0 };
  #parts: OpenParts | undefined;
  #bufferId = "";
  #fileStatus = NO_FILE_STATUS;
  #reportedLostRows = 0;

  constructor(options: ResolvedBufferOptions) {
    super();
    this.options = options;
    this.#logger = options.logger ?? defaultLogger();
    this.#throttle = new LogThrottle(this.#logger);
    this.#emitter = new TypedEmitter((error, event) =>
      this.#logger.error({ err: error, event }, "buffer listener failed"),
    );
    this.#disk = new DiskWatch(options);
    this.lifecycle = new Lifecycle({
      name: this.name,
      open: (closers) => this.#open(closers),
      drain: () => {
        this.#parts?.room.close(notRunning(this.state));
        return this.#parts?.group.settle();
      },
    });
  }

  get bufferId() {
    return this.#bufferId;
  }

  on<Name extends keyof BufferEvents>(
    event: Name,
    listener: Listener<BufferEvents[Name]>,
  ): () => void {
    return this.#emitter.on(event, listener);
  }

  async append(payload: Uint8Array, token = "default"): Promise<void> {
    const parts = this.#parts;
    if (parts === undefined || this.state !== "running") throw notRunning(this.state);
    const { group, room } = parts;
    // One value that cannot be stored would take the whole group commit down with it.
    if (!(payload instanceof Uint8Array)) throw new TypeError("payload must be a Uint8Array");
    if (typeof token !== "string") throw new TypeError("token must be a string");
    const enter = () => this.#commit(group, payload, token);
    if (!room.isWaiting && this.hasRoom()) return enter();
    if (this.options.whenFull !== "block" || !room.canWait(payload.byteLength))
      throw this.#refuse();
    return room.wait(payload.byteLength, enter);
  }

  async #commit(group: GroupCommit, payload: Uint8Array, token: string): Promise<void> {
    try {
      await group.append(payload, token);
    } catch (error) {
      if (MillraceError.is(error)) throw error;
      if (isSqliteError(error, "SQLITE_FULL")) this.#disk.noteFull();
      if (isDamage(error)) this.#fail(error);
      const reason = messageOf(error);
      this.#throttle.warn("write", () => ({ err: error }), `buffer cannot write: ${reason}`);
      throw writeFailed(this.options.path, error);
    }
  }

  hasRoom(): boolean {
    const parts = this.#parts;
    if (parts === undefined || !parts.database.open) return false;
    if (this.#disk.trouble !== undefined) return false;
    if (this.#fits(parts.group, NONE)) return true;
    const progress = parts.group.readProgress();
    // What nobody has claimed gives way to what comes.
    const isDropping = this.options.whenFull === "drop-oldest";
    return this.#fits(parts.group, isDropping ? pendingOf(progress) : NONE);
  }

  utilisation(): number {
    if (this.#disk.trouble !== undefined) return 1;
    const { rows, bytes } = this.#depth();
    return Math.max(rows / this.options.maxRows, bytes / this.options.maxBytes);
  }

  health(): Health {
    if (this.state !== "running") return { healthy: true };
    const failure = this.#parts?.group.failure;
    if (failure !== undefined) {
      return { healthy: false, reason: `cannot write: ${messageOf(failure)}` };
    }
    if (this.#disk.trouble === "disk_low") return { healthy: false, reason: "disk low" };
    if (this.#disk.trouble === "wal") return { healthy: false, reason: "WAL too large" };
    return this.hasRoom() ? { healthy: true } : { healthy: false, reason: "full" };
  }

  status(): BufferStatus {
    const counters = this.#parts?.group.counters;
    return {
      ...this.#readFileStatus(),
      rejectedRows: this.#refused.full + (counters?.rejectedRows ?? 0),
      walRejectedRows: this.#refused.wal,
      diskLowRows: this.#refused.diskLow + (counters?.diskLowRows ?? 0),
      failedRows: counters?.failedRows ?? 0,
      commits: counters?.commits ?? 0,
      salvages: { ...this.#salvages },
      walBytes: this.#disk.walBytes,
      freeBytes: this.#disk.freeBytes,
    };
  }

  registerOwner(): BufferOwner {
    if (this.#parts === undefined || this.state !== "running") throw notRunning(this.state);
    return this.#parts.owners.register();
  }

  async #open(closers: CloserStack): Promise<void> {
    const { path } = this.options;
    let file: OpenedBufferFile;
    let group: GroupCommit;
    try {
      assertNodeVersion();
      mkdirSync(dirname(path), { recursive: true });
      closers.push(lockForAppending(path));
      file = openBufferFile(path, this.options);
      closers.push(() => {
        // What a closed buffer says of itself.
        this.#readFileStatus();
        file.database.close();
      });
      group = new GroupCommit(file.database, this.options, (bytes) =>
        this.#disk.hasSpaceFor(bytes) ? undefined : diskLow(path, this.#disk),
      );
    } catch (error) {
      throw MillraceError.is(error) ? error : notWritable(path, error);
    }
    const { database, bufferId, salvaged } = file;
    this.#bufferId = bufferId;
    if (salvaged !== undefined) this.#reportSalvage(salvaged);
    const owners = new ClaimOwners(database, group.turns.memory, this.#logger);
    closers.push(() => owners.close());
    const room = new RoomQueue({
      maxBytes: this.options.maxBlockedBytes,
      hasRoom: () => this.hasRoom(),
    });
    closers.push(() => room.close(notRunning(this.state)));
    this.#parts = { database, group, room, owners };
    this.#fileStatus = readFileStatus(database);
    this.#reportedLostRows = this.#fileStatus.lostRows;
    const onDamage = (reason: string) => this.#fail(new Error(reason));
    closers.push(await startMaintenance(this.options, this.#logger, onDamage));
    await this.#disk.check();
    const watch = setInterval(() => void this.#watch(group), WATCH_MS);
    watch.unref();
    closers.push(() => clearInterval(watch));
    closers.push(publishBufferMetrics(this));
  }

  async #watch(group: GroupCommit): Promise<void> {
    group.probe();
    const troubleBefore = this.#disk.trouble;
    await this.#disk.check();
    if (this.#disk.trouble !== troubleBefore) this.#reportTrouble();
    if (this.state !== "running") return;
    const { lostRows } = this.#readFileStatus();
    const lost = lostRows - this.#reportedLostRows;
    if (lost > 0) {
      this.#reportedLostRows = lostRows;
      this.#logger.error({ rows: lost }, "payloads were found changed on disk: they are lost");
      this.#emitter.emit("payloads:lost", { rows: lost });
    }
    const mark = readDamageMark(this.options.path);
    if (isDamage(group.failure)) this.#fail(group.failure);
    else if (mark !== undefined) this.#fail(new Error(mark.reason));
  }

  /** Ends the buffer: only with every handle on a damaged file closed can another take its place. */
  #fail(cause: unknown): void {
    if (this.state !== "running" && this.state !== "draining") return;
    const reason = messageOf(cause);
    tryMarkDamaged(this.options.path, reason);
    this.#logger.error({ path: this.options.path, reason }, "buffer file is damaged: start again");
    this.#emitter.emit("file:damaged", { reason });
    void this.lifecycle.fail(damaged(this.options.path, cause));
  }

  #reportSalvage(report: SalvageReport): void {
    this.#salvages[report.lostRows === 0 && report.isCountKnown ? "complete" : "partial"]++;
    this.#logger.error(
      { path: this.options.path, ...report },
      "buffer file was damaged: set aside, what could be read of it is in a new one",
    );
    this.#emitter.emit("file:salvaged", report);
  }

  #reportTrouble(): void {
    const { trouble, freeBytes, minFreeBytes, walBytes } = this.#disk;
    const fields = { path: this.options.path, freeBytes, minFreeBytes, walBytes };
    if (trouble === "disk_low") this.#logger.warn(fields, "disk is low: payloads are refused");
    else if (trouble === "wal") this.#logger.warn(fields, "WAL is too large: payloads are refused");
    else this.#logger.info(fields, "payloads are taken again");
  }

  #refuse(): MillraceError {
    const { path } = this.options;
    if (this.#disk.trouble === "disk_low") {
      this.#refused.diskLow++;
      return diskLow(path, this.#disk);
    }
    if (this.#disk.trouble === "wal") {
      this.#refused.wal++;
      return walFull(path, this.#disk);
    }
    this.#refused.full++;
    return bufferFull(path, this.#depth());
  }

  #fits(group: GroupCommit, droppable: { rows: number; bytes: number }): boolean {
    const { rows, bytes } = this.#depth();
    return (
      rows - droppable.rows + group.waitingRows < this.options.maxRows &&
      bytes - droppable.bytes + group.waitingBytes < this.options.maxBytes
    );
  }

  #depth(): { rows: number; bytes: number } {
    return this.#parts === undefined ? NONE : depthOf(this.#parts.group.progress);
  }

  /** The file as it is now, or, when it cannot be read, as it was last. */
  #readFileStatus(): FileStatus {
    if (!this.#parts?.database.open) return this.#fileStatus;
    try {
      this.#fileStatus = readFileStatus(this.#parts.database);
    } catch (error) {
      // Whoever asks for a depth has no use for this; health reports it, the next commit clears it.
      this.#parts.group.failure = error;
      return { ...this.#fileStatus, oldestPendingAt: undefined };
    }
    return this.#fileStatus;
  }
}

const NONE = { rows: 0, bytes: 0 };

function pendingOf(progress: Progress): { rows: number; bytes: number } {
  return {
    rows: progress.appended_rows - progress.claimed_rows,
    bytes: progress.appended_bytes - progress.claimed_bytes,
  };
}
