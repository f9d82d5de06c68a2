import { MillraceError } from "@millrace/core";
import type { Client } from "pg";
import type { PostgresDestination } from "../postgres.ts";
import { type Connection, connect } from "../write/connection.ts";

/** How long a connection that nobody uses stays open, in milliseconds. */
const IDLE_MS = 5_000;

/** One connection, opened when somebody needs it and closed when nobody has for a while. */
export class OnDemandConnection {
  readonly #destination: PostgresDestination;
  readonly #prepare: (client: Client) => Promise<unknown>;
  #connection: Connection | undefined;
  #lastUse: Promise<unknown> = Promise.resolve();
  #idleTimer: NodeJS.Timeout | undefined;
  readonly #closing = new AbortController();

  /** `prepare` runs on each new connection, outside of a transaction. */
  constructor(destination: PostgresDestination, prepare: (client: Client) => Promise<unknown>) {
    this.#destination = destination;
    this.#prepare = prepare;
  }

  /**
   * Runs one transaction, after those that were asked for before.
   *
   * The connection is thrown away when it fails. `onProgress` restarts the clock of `batchTimeoutMs`.
   */
  transaction<Result>(
    work: (client: Client, onProgress: () => void) => Promise<Result>,
  ): Promise<Result> {
    const use = this.#lastUse.then(() => this.#run(work));
    this.#lastUse = use.catch(() => {});
    return use;
  }

  /** Cuts a transaction that is running: it is rolled back. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#drop();
    await this.#lastUse;
    this.#drop();
  }

  async #run<Result>(
    work: (client: Client, onProgress: () => void) => Promise<Result>,
  ): Promise<Result> {
    clearTimeout(this.#idleTimer);
    if (this.#connection?.isBroken) this.#drop();
    const { batchTimeoutMs } = this.#destination;
    let isOver = false;
    const deadline = setTimeout(() => {
      isOver = true;
      this.#drop();
    }, batchTimeoutMs);
    try {
      const { client } = await this.#open();
      await begin(client, batchTimeoutMs);
      const result = await work(client, () => deadline.refresh());
      const { command } = await client.query("COMMIT");
      if (command !== "COMMIT") throw new Error(`the server answered COMMIT with ${command}`);
      return result;
    } catch (error) {
      this.#drop();
      if (this.#closing.signal.aborted) throw closedError(error);
      if (!isOver) throw error;
      throw new Error(`PostgreSQL did not answer for ${batchTimeoutMs} ms`, { cause: error });
    } finally {
      clearTimeout(deadline);
      this.#closeWhenIdle();
    }
  }

  async #open(): Promise<Connection> {
    if (this.#closing.signal.aborted) throw closedError();
    if (this.#connection === undefined) {
      this.#connection = await connect(this.#destination, this.#closing.signal);
      await this.#prepare(this.#connection.client);
      if (this.#closing.signal.aborted) throw closedError();
    }
    return this.#connection;
  }

  #closeWhenIdle(): void {
    this.#idleTimer = setTimeout(() => {
      const connection = this.#connection;
      this.#connection = undefined;
      void connection?.end().catch(() => {});
    }, IDLE_MS);
    this.#idleTimer.unref();
  }

  #drop(): void {
    clearTimeout(this.#idleTimer);
    this.#connection?.destroy();
    this.#connection = undefined;
  }
}

/** SET LOCAL only, so that a pooled connection is handed on as it was. */
async function begin(client: Client, statementTimeoutMs: number): Promise<void> {
  await client.query(
    `BEGIN ISOLATION LEVEL READ COMMITTED;
     SET LOCAL synchronous_commit = on;
     SET LOCAL lock_timeout = '10s';
     SET LOCAL statement_timeout = ${statementTimeoutMs};
     SET LOCAL idle_in_transaction_session_timeout = '60s'`,
  );
}

function closedError(cause?: unknown): MillraceError {
  return new MillraceError(
    "ILLEGAL_STATE",
    "the connection was closed by its owner: what had not been committed is as it was",
    { cause },
  );
}
