import { messageOf, MillraceError } from "@millrace/core";
import { Client } from "pg";
import type { PostgresDestination } from "../postgres.ts";

/** A connection that is used for one thing at a time and thrown away when anything goes wrong. */
export interface Connection {
  readonly client: Client;
  /** Cuts the connection at once, whatever it waits for. */
  destroy(): void;
  /** Says goodbye to the server. */
  end(): Promise<void>;
}

/**
 * @throws {@link MillraceError} `DRAIN_DATABASE_UNREACHABLE`, with what went wrong as its `cause`.
 */
export async function connect(destination: PostgresDestination): Promise<Connection> {
  const client = new Client({
    connectionString: destination.connectionString,
    connectionTimeoutMillis: destination.connectTimeoutMs,
    application_name: destination.applicationName,
    keepAlive: true,
  });
  // Without a listener an idle connection that breaks would end the thread; the next query fails.
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (error) {
    throw new MillraceError(
      "DRAIN_DATABASE_UNREACHABLE",
      `cannot connect to PostgreSQL (${messageOf(error) || "no answer"}): check the connection string and that it is up`,
      { cause: error, retryable: true },
    );
  }
  return {
    client,
    destroy: () => {
      const { stream } = Reflect.get(client, "connection") as { stream: { destroy(): void } };
      stream.destroy();
    },
    end: () => client.end(),
  };
}
