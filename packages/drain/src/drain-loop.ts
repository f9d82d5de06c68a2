import {
  Backoff,
  type ClaimedBatch,
  type ClaimSession,
  messageOf,
  sleep,
} from "@millrace/core/thread";
import type { WorkerPermits } from "./adaptive/worker-permits.ts";
import type { BatchLimits, WorkerMessage, WorkerPhase } from "./messages.ts";
import { forgetMigrations, migrateWith } from "./apply-migrations.ts";
import type { PartitionMaintainer } from "./partitions/partition-maintainer.ts";
import type { PostgresDestination } from "./postgres.ts";
import { pruneTables } from "./prune-tables.ts";
import type { DrainSchema } from "./schema/drain-schema.ts";
import { isDiskTrouble } from "./stall/disk-trouble.ts";
import { type DrainStallCode, isOverload, stallCodeOf } from "./stall/stall-code.ts";
import { type UnsettledBatch, UnsettledBatches } from "./unsettled-batches.ts";
import type { BatchWriter, LandedBatch, WriteMode } from "./write/batch-writer.ts";
import { passBarrier } from "./write/barrier.ts";
import { connect, type Connection } from "./write/connection.ts";
import { classifyFailure, isMissingObject } from "./write/sqlstate.ts";

/** How often an idle worker looks for rows, in milliseconds. */
const IDLE_POLL_MS = 25;
/** How often a worker without a permit looks for one, in milliseconds. */
const REST_POLL_MS = 100;
/** After a batch that took long, for whatever reason, in milliseconds. */
const MAX_REST_MS = 2_000;
/** How often the ledger and the rollups are pruned, in milliseconds. */
const PRUNE_INTERVAL_MS = 60_000;
/** Threads that a batch may kill before its payloads are landed one noted suspect at a time. */
const CRASHES_BEFORE_SUSPICION = 2;
/** Tries that a batch gets after the worker was told to end, as long as PostgreSQL can be reached. */
const TRIES_WHILE_DRAINING = 5;
const PAUSE_WHILE_DRAINING_MS = 300;
/** How long reaching PostgreSQL may take after the worker was told to end, in milliseconds. */
const CONNECT_WHILE_DRAINING_MS = 1_000;

export interface DrainLoopOptions {
  session: ClaimSession;
  writer: BatchWriter;
  destination: PostgresDestination;
  schema: DrainSchema;
  maintainer: PartitionMaintainer;
  limits: BatchLimits;
  permits: WorkerPermits;
  worker: number;
  report: (message: WorkerMessage) => void;
}

/** One worker's life: recover or claim a batch, land it, let it go, again. */
export class DrainLoop {
  readonly #options: DrainLoopOptions;
  readonly #backoff = new Backoff();
  readonly #draining = new AbortController();
  #connection: Connection | undefined;
  #phase: WorkerPhase | undefined;
  #reason: string | undefined;
  readonly #unsettled = new UnsettledBatches();
  #triesWhileDraining = 0;
  #nextPruneAt = 0;

  constructor(options: DrainLoopOptions) {
    this.#options = options;
  }

  /** Makes {@link DrainLoop.run} end once nothing is pending, or nothing lands any more. */
  drain(): void {
    this.#draining.abort();
  }

  async run(): Promise<void> {
    for (;;) {
      if (!this.#mayClaim() && this.#unsettled.size === 0) {
        if (!(await this.#rest())) break;
        continue;
      }
      const connection = await this.#connect();
      if (connection === undefined) break;
      await this.#prune(connection);
      await this.#maintainPartitions(connection);
      if (this.#unsettled.isDue) {
        if (!(await this.#passBarrier(connection))) break;
        continue;
      }
      const batch = await this.#onBuffer(() => this.#nextBatch());
      if (batch === "given up") break;
      if (batch !== undefined) {
        const startedAt = performance.now();
        if (!(await this.#land(batch))) break;
        await this.#giveWay(performance.now() - startedAt);
        continue;
      }
      if (this.#draining.signal.aborted) {
        if (this.#unsettled.size === 0 || !(await this.#passBarrier(connection))) break;
        continue;
      }
      this.#backoff.reset();
      this.#enter("idle");
      await sleep(IDLE_POLL_MS, this.#draining.signal);
    }
    await this.#connection?.end().catch(() => {});
  }

  #mayClaim(): boolean {
    const { permits, worker } = this.#options;
    return permits.mayClaim(worker);
  }

  /** Holds no connection, and lands only what a thread that died has left. @returns false to end. */
  async #rest(): Promise<boolean> {
    const recovered = await this.#onBuffer(() => this.#options.session.recover());
    if (recovered === "given up") return false;
    if (recovered !== undefined) return this.#land(recovered);
    const { signal } = this.#draining;
    if (signal.aborted) return false;
    await this.#connection?.end().catch(() => {});
    this.#connection = undefined;
    this.#enter("resting");
    await sleep(REST_POLL_MS, signal);
    return true;
  }

  /** Leaves PostgreSQL to others, for as long as the pool's manners ask for after so much work. */
  async #giveWay(workedMs: number): Promise<void> {
    const { permits } = this.#options;
    const restMs = Math.min(MAX_REST_MS, workedMs * permits.restShare);
    if (restMs > 0) await sleep(restMs, this.#draining.signal);
  }

  #nextBatch(): ClaimedBatch | undefined {
    const { session, limits, permits } = this.#options;
    const recovered = session.recover(this.#unsettled.batchIds);
    if (recovered !== undefined) return recovered;
    const { rows, bytes, oldestReceivedAt } = session.pending();
    if (rows === 0 || !this.#mayClaim()) return undefined;
    const maxRows = permits.batchRows;
    const isDue =
      rows >= maxRows ||
      bytes >= limits.batchBytes ||
      Date.now() - (oldestReceivedAt ?? 0) >= limits.batchWaitMs ||
      this.#draining.signal.aborted;
    if (!isDue) return undefined;
    return session.claim({ maxRows, maxBytes: limits.batchBytes });
  }

  /** Lands a batch and frees its bytes. @returns false when told to drain while it does not land; its claim stays. */
  async #land(batch: ClaimedBatch): Promise<boolean> {
    try {
      return await this.#writeUntilLanded(batch);
    } finally {
      batch.payloads.free?.();
    }
  }

  async #writeUntilLanded(batch: ClaimedBatch): Promise<boolean> {
    const startedAt = performance.now();
    const isSuspicious = batch.crashes >= CRASHES_BEFORE_SUSPICION;
    let isolating = isSuspicious;
    let hasWaited = false;
    for (;;) {
      const connection = await this.#connect();
      if (connection === undefined) return false;
      // Once it has waited it is "waiting" until the batch has landed: a try is no news.
      if (!hasWaited) this.#enter("landing");
      try {
        const landed = await this.#write(connection, batch, isolating, isSuspicious);
        this.#unsettled.add({
          batchId: batch.batchId,
          payloads: batch.payloads.length,
          landed,
          seconds: (performance.now() - startedAt) / 1_000,
        });
        // What an earlier try committed may not be on the disk yet.
        const isOnDisk = this.#options.destination.synchronousCommit === "on" && !landed.wasLanded;
        return isOnDisk ? await this.#settle(this.#unsettled.take()) : true;
      } catch (error) {
        const kind = classifyFailure(error);
        if (kind === "data" && !isolating) {
          isolating = true;
          await this.#rollBack(connection);
        } else {
          hasWaited = true;
          if (!(await this.#waitAfter(error))) return false;
        }
      }
    }
  }

  #write(
    connection: Connection,
    batch: ClaimedBatch,
    isolating: boolean,
    isSuspicious: boolean,
  ): Promise<LandedBatch> {
    const { writer, session } = this.#options;
    // Once a batch has killed threads, which of its payloads is in hand is written down first.
    const beforePayload = isSuspicious
      ? (payloadId: number) => session.suspect(batch.batchId, payloadId)
      : undefined;
    return this.#withDeadline(connection, (onProgress) => {
      const mode: WriteMode = { isolating, beforePayload, onProgress };
      return writer.write(connection.client, batch, mode);
    });
  }

  /** Lets batches go that PostgreSQL holds for good. @returns false when the buffer would not, when draining. */
  async #settle(batches: readonly UnsettledBatch[]): Promise<boolean> {
    const { session, report } = this.#options;
    for (const { batchId, payloads, landed, seconds } of batches) {
      const settled = await this.#onBuffer(() => session.settle(batchId));
      if (settled === "given up") return false;
      this.#backoff.reset();
      report({
        type: "landed",
        wasLanded: landed.wasLanded,
        payloads,
        deadPayloads: landed.deadPayloads,
        records: [...landed.records],
        deadLetters: [...landed.deadLetters],
        seconds,
      });
    }
    return true;
  }

  /** @returns false when it is time to give up: the worker was told to end. */
  async #passBarrier(connection: Connection): Promise<boolean> {
    let onDisk: Set<string>;
    try {
      onDisk = await this.#withDeadline(connection, () =>
        passBarrier(connection.client, this.#unsettled.batchIds),
      );
    } catch (error) {
      return this.#waitAfter(error);
    }
    const batches = this.#unsettled.take();
    const isLost = batches.some(({ batchId }) => !onDisk.has(batchId));
    // Their claims are still there: they are recovered like those of a worker that died.
    if (isLost) this.#options.report({ type: "retry", reason: "lost" });
    return this.#settle(batches.filter(({ batchId }) => onDisk.has(batchId)));
  }

  /** @returns whether to try again. */
  async #waitAfter(error: unknown): Promise<boolean> {
    const kind = classifyFailure(error);
    this.#dropConnection();
    this.#options.report({ type: "retry", reason: kind === "transient" ? "connection" : kind });
    if (!(await this.#pause(messageOf(error), this.#codeOf(error)))) return false;
    if (isMissingObject(error)) await this.#recreateTables();
    return true;
  }

  #codeOf(error: unknown): DrainStallCode {
    const code = stallCodeOf(error);
    if (isOverload(code)) this.#options.report({ type: "trouble", code });
    return code;
  }

  async #rollBack(connection: Connection): Promise<void> {
    this.#options.report({ type: "retry", reason: "data" });
    try {
      await this.#withDeadline(connection, () => connection.client.query("ROLLBACK"));
    } catch {
      this.#dropConnection();
    }
  }

  async #recreateTables(): Promise<void> {
    const connection = await this.#connect();
    if (connection === undefined) return;
    // What cannot be forgotten or made again shows as the reason of the next failure.
    await this.#withDeadline(connection, () => forgetMigrations(connection.client)).catch(() => {});
    this.#dropConnection();
  }

  async #connect(): Promise<Connection | undefined> {
    if (this.#connection?.isBroken) this.#dropConnection();
    while (this.#connection === undefined) {
      const { destination, schema } = this.#options;
      const { signal } = this.#draining;
      const isLastTry = signal.aborted;
      let connection: Connection | undefined;
      try {
        if (this.#phase === undefined) this.#enter("connecting");
        // Being told to end cuts a try short, and leaves time for one more.
        const patience = isLastTry ? AbortSignal.timeout(CONNECT_WHILE_DRAINING_MS) : signal;
        connection = await connect(destination, patience);
        const opened = connection;
        const hasMigrated = await this.#withDeadline(opened, () =>
          migrateWith(opened.client, schema),
        );
        if (hasMigrated) this.#options.maintainer.makeDue();
        this.#connection = opened;
      } catch (error) {
        connection?.destroy();
        this.#enter("waiting", messageOf(error), this.#codeOf(error));
        if (isLastTry) return undefined;
        await sleep(this.#backoff.nextDelayMs(), signal);
      }
    }
    return this.#connection;
  }

  #dropConnection(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  /** A server that stops answering must not hold a batch for ever. */
  async #withDeadline<Result>(
    connection: Connection,
    work: (onProgress: () => void) => Promise<Result>,
  ): Promise<Result> {
    const { batchTimeoutMs } = this.#options.destination;
    let isOver = false;
    const timer = setTimeout(() => {
      isOver = true;
      connection.destroy();
    }, batchTimeoutMs);
    try {
      return await work(() => timer.refresh());
    } catch (error) {
      if (!isOver) throw error;
      throw new Error(`PostgreSQL did not answer for ${batchTimeoutMs} ms`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Works on the buffer file, again and again while its disk is full or another holds its lock. */
  async #onBuffer<Result>(work: () => Result): Promise<Result | "given up"> {
    for (;;) {
      try {
        return work();
      } catch (error) {
        if (!isDiskTrouble(error)) throw error;
        if (!(await this.#pause(`the buffer file: ${messageOf(error)}`, "disk-trouble")))
          return "given up";
      }
    }
  }

  /** @returns false when it is time to give up instead: the worker was told to end. */
  async #pause(reason: string, code: DrainStallCode): Promise<boolean> {
    this.#enter("waiting", reason, code);
    const { signal } = this.#draining;
    if (!signal.aborted) {
      await sleep(this.#backoff.nextDelayMs(), signal);
      return true;
    }
    if (++this.#triesWhileDraining > TRIES_WHILE_DRAINING) return false;
    return sleep(PAUSE_WHILE_DRAINING_MS);
  }

  async #prune(connection: Connection): Promise<void> {
    if (performance.now() < this.#nextPruneAt) return;
    this.#nextPruneAt = performance.now() + PRUNE_INTERVAL_MS;
    const { session, schema, report } = this.#options;
    try {
      const openBatchIds = session.openBatchIds();
      const pruned = await this.#withDeadline(connection, () =>
        pruneTables(connection.client, schema, session.bufferId, openBatchIds),
      );
      report({ type: "maintained", ...pruned });
    } catch {
      // The next turn connects again and reports what is wrong.
      this.#dropConnection();
    }
  }

  async #maintainPartitions(connection: Connection): Promise<void> {
    const { maintainer, report } = this.#options;
    if (!maintainer.isDue || this.#draining.signal.aborted) return;
    try {
      const maintained = await this.#withDeadline(connection, (onProgress) =>
        maintainer.run(connection.client, onProgress),
      );
      report({ type: "maintained", ...maintained });
    } catch {
      // The next turn connects again and reports what is wrong.
      this.#dropConnection();
    }
  }

  #enter(phase: WorkerPhase, reason?: string, code?: DrainStallCode): void {
    if (phase === this.#phase && reason === this.#reason) return;
    this.#phase = phase;
    this.#reason = reason;
    this.#options.report({ type: "phase", phase, reason, code });
  }
}
