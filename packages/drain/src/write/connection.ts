import { messageOf, MillraceError } from "@millrace/core";
import { Client } from "pg";
import type { PostgresDestination } from "../postgres.ts";

/** How long saying goodbye may take before the connection is cut, in milliseconds. */
const GOODBYE_MS = 1_000;

/** A connection that is used for one thing at a time and thrown away when anything goes wrong. */
export interface Connection {
  readonly client: Client;
  /** Whether it is known to have ended. */
  readonly isBroken: boolean;
  /** Cuts the connection at once, whatever it waits for. */
  destroy(): void;
  /** Says goodbye to the server. */
  end(): Promise<void>;
}

/**
 * @param signal gives the attempt up when it fires.
 * @throws {@link MillraceError} `DRAIN_DATABASE_UNREACHABLE`, with what went wrong as its `cause`.
 */
export async function connect(
  destination: PostgresDestination,
  signal?: AbortSignal,
): Promise<Connection> {
  const client = new Client({
    connectionString: destination.connectionString,
    connectionTimeoutMillis: destination.connectTimeoutMs,
    application_name: destination.applicationName,
    keepAlive: true,
  });
  const connection = {
    client,
    isBroken: false,
    destroy: () => {
      const { stream } = Reflect.get(client, "connection") as { stream: { destroy(): void } };
      stream.destroy();
    },
    end: async () => {
      const timer = setTimeout(connection.destroy, GOODBYE_MS);
      await client.end().finally(() => clearTimeout(timer));
    },
  };
  // Without a listener an idle connection that breaks would end the thread.
  client.on("error", () => {
    connection.isBroken = true;
  });
  signal?.addEventListener("abort", connection.destroy, { once: true });
  try {
    signal?.throwIfAborted();
    await client.connect();
    return connection;
  } catch (error) {
    connection.destroy();
    throw new MillraceError(
      "DRAIN_DATABASE_UNREACHABLE",
      `cannot connect to PostgreSQL (${messageOf(error) || "no answer"}): check the connection string and that it is up`,
      { cause: error, retryable: true },
    );
  } finally {
    signal?.removeEventListener("abort", connection.destroy);
  }
}
