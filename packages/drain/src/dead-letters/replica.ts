import { type Logger, LogThrottle, messageOf } from "@millrace/core";
import type { Client } from "pg";
import type { PostgresDestination } from "../postgres.ts";
import { OnDemandConnection } from "./on-demand-connection.ts";

/** How long a replica that failed is left alone, in milliseconds. */
const AWAY_MS = 30_000;

/** A server that only answers questions, as long as it does. */
export class Replica {
  readonly #connection: OnDemandConnection;
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;
  #awayUntil = 0;
  #isClosed = false;

  constructor(destination: PostgresDestination, connectionString: string, logger: Logger) {
    // Nothing is made there: a standby cannot, and another database should not be.
    this.#connection = new OnDemandConnection({ ...destination, connectionString }, async () => {});
    this.#logger = logger;
    this.#throttle = new LogThrottle(logger);
  }

  /** @returns undefined when the first server has to be asked. */
  async read<Result>(work: (client: Client) => Promise<Result>): Promise<Result | undefined> {
    if (this.#isClosed || performance.now() < this.#awayUntil) return undefined;
    try {
      const result = await this.#connection.transaction(async (client) => {
        await client.query("SET TRANSACTION READ ONLY");
        return work(client);
      });
      if (this.#awayUntil > 0) this.#logger.info("the read replica answers again");
      this.#awayUntil = 0;
      return result;
    } catch (error) {
      if (this.#isClosed) return undefined;
      this.#awayUntil = performance.now() + AWAY_MS;
      const reason = messageOf(error);
      this.#throttle.warn("away", () => ({ reason }), "the read replica is away: asking the first");
      return undefined;
    }
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return this.#connection.close();
  }
}
