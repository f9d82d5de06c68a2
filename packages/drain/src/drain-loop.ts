import { Backoff, messageOf, sleep } from "@millrace/core";
import type { ClaimedBatch, ClaimSession } from "@millrace/core/buffer";
import type { BatchLimits, WorkerMessage, WorkerPhase } from "./messages.ts";
import { forgetMigrations, migrateWith } from "./migrate.ts";
import type { PostgresDestination } from "./postgres.ts";
import type { DrainSchema } from "./schema/drain-schema.ts";
import type { BatchWriter } from "./write/batch-writer.ts";
import { connect, type Connection } from "./write/connection.ts";
import { pruneLedger } from "./write/ledger.ts";
import { classifyFailure } from "./write/sqlstate.ts";

/** How often an idle worker looks for rows, in milliseconds. */
const IDLE_POLL_MS = 25;
/** How often the ledger is pruned, in milliseconds. */
const PRUNE_INTERVAL_MS = 60_000;
/** Threads that a batch may kill before its payloads are read one noted suspect at a time. */
const CRASHES_BEFORE_SUSPICION = 2;

export interface DrainLoopOptions {
  session: ClaimSession;
  writer: BatchWriter;
  destination: PostgresDestination;
  schema: DrainSchema;
  limits: BatchLimits;
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
  #nextPruneAt = 0;

  constructor(options: DrainLoopOptions) {
    this.#options = options;
  }

  /** Makes {@link DrainLoop.run} end once nothing is pending, or PostgreSQL does not answer. */
  drain(): void {
    this.#draining.abort();
  }

  async run(): Promise<void> {
    for (;;) {
      const connection = await this.#connect();
      if (connection === undefined) break;
      const batch = this.#nextBatch();
      if (batch !== undefined) {
        if (!(await this.#land(batch))) break;
        continue;
      }
      if (this.#draining.signal.aborted) break;
      this.#enter("idle");
      await this.#prune(connection);
      await sleep(IDLE_POLL_MS, this.#draining.signal);
    }
    await this.#connection?.end().catch(() => {});
  }

  #nextBatch(): ClaimedBatch | undefined {
    const { session, limits } = this.#options;
    return retryWhileBusy(() => {
      const recovered = session.recover();
      if (recovered !== undefined) return recovered;
      const { rows, bytes, oldestReceivedAt } = session.pending();
      if (rows === 0) return undefined;
      const isDue =
        rows >= limits.batchRows ||
        bytes >= limits.batchBytes ||
        Date.now() - (oldestReceivedAt ?? 0) >= limits.batchWaitMs ||
        this.#draining.signal.aborted;
      if (!isDue) return undefined;
      return session.claim({ maxRows: limits.batchRows, maxBytes: limits.batchBytes });
    });
  }

  /** @returns false when told to drain while the batch does not land; its claim stays. */
  async #land(batch: ClaimedBatch): Promise<boolean> {
    const { session, writer, report } = this.#options;
    const startedAt = performance.now();
    let isIsolating = false;
    let hasWaited = false;
    for (;;) {
      const connection = await this.#connect();
      if (connection === undefined) return false;
      // Once it has waited it is "waiting" until the batch has landed: a try is no news.
      if (!hasWaited) this.#enter("landing");
      try {
        const landed = await this.#withDeadline(connection, () =>
          writer.write(connection.client, batch, isIsolating, this.#suspicion(batch)),
        );
        this.#backoff.reset();
        retryWhileBusy(() => session.settle(batch.batchId));
        report({
          type: "landed",
          wasLanded: landed.wasLanded,
          payloads: batch.payloads.length,
          deadPayloads: landed.deadPayloads,
          records: [...landed.records],
          deadLetters: [...landed.deadLetters],
          seconds: (performance.now() - startedAt) / 1_000,
        });
        return true;
      } catch (error) {
        isIsolating = await this.#afterFailure(error, isIsolating);
        hasWaited = this.#phase === "waiting";
      }
      if (this.#phase === "waiting" && this.#draining.signal.aborted) return false;
    }
  }

  /** Decides what a failed try of a batch calls for. @returns whether to isolate rows from now on. */
  async #afterFailure(error: unknown, wasIsolating: boolean): Promise<boolean> {
    const kind = classifyFailure(error);
    if (kind === "data" && !wasIsolating) {
      this.#options.report({ type: "retry", reason: "data" });
      await this.#rollBack();
      return true;
    }
    this.#dropConnection();
    this.#options.report({ type: "retry", reason: kind === "schema" ? "schema" : "connection" });
    this.#enter("waiting", messageOf(error));
    await sleep(this.#backoff.nextDelayMs(), this.#draining.signal);
    if (kind === "schema") await this.#recreateTables();
    return wasIsolating;
  }

  async #rollBack(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    try {
      await this.#withDeadline(connection, () => connection.client.query("ROLLBACK"));
    } catch {
      this.#dropConnection();
    }
  }

  async #recreateTables(): Promise<void> {
    const connection = await this.#connect();
    // What cannot be forgotten or made again shows as the reason of the next failure.
    if (connection !== undefined) await forgetMigrations(connection.client).catch(() => {});
    this.#dropConnection();
  }

  async #connect(): Promise<Connection | undefined> {
    while (this.#connection === undefined) {
      const { destination, schema } = this.#options;
      let connection: Connection | undefined;
      try {
        if (this.#phase === undefined) this.#enter("connecting");
        connection = await connect(destination);
        const opened = connection;
        await this.#withDeadline(opened, () => migrateWith(opened.client, schema));
        this.#connection = opened;
        return opened;
      } catch (error) {
        connection?.destroy();
        this.#enter("waiting", messageOf(error));
        if (this.#draining.signal.aborted) return undefined;
        await sleep(this.#backoff.nextDelayMs(), this.#draining.signal);
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
    work: () => Promise<Result>,
  ): Promise<Result> {
    const timer = setTimeout(() => connection.destroy(), this.#options.destination.batchTimeoutMs);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }

  /** Once a batch has killed threads, which of its payloads is being read is written down first. */
  #suspicion(batch: ClaimedBatch): ((payloadId: number) => void) | undefined {
    if (batch.crashes < CRASHES_BEFORE_SUSPICION) return undefined;
    return (payloadId) => {
      retryWhileBusy(() => this.#options.session.suspect(batch.batchId, payloadId));
    };
  }

  async #prune({ client }: Connection): Promise<void> {
    if (performance.now() < this.#nextPruneAt) return;
    this.#nextPruneAt = performance.now() + PRUNE_INTERVAL_MS;
    const { session } = this.#options;
    try {
      await pruneLedger(client, session.bufferId, session.openBatchIds());
    } catch {
      // The next turn connects again and reports what is wrong.
      this.#dropConnection();
    }
  }

  #enter(phase: WorkerPhase, reason?: string): void {
    if (phase === this.#phase && reason === this.#reason) return;
    this.#phase = phase;
    this.#reason = reason;
    this.#options.report({ type: "phase", phase, reason });
  }
}

/** SQLite waits 5 s for a lock by itself; a disk or checkpoint that takes longer is no reason to die. */
function retryWhileBusy<Result>(work: () => Result): Result {
  for (;;) {
    try {
      return work();
    } catch (error) {
      const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
      if (typeof code !== "string" || !code.startsWith("SQLITE_BUSY")) throw error;
    }
  }
}
