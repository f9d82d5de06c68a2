import { checkServerIdentity } from "node:tls";
import { messageOf, MillraceError } from "@millrace/core/thread";
import { Client, type ClientConfig } from "pg";
import type { PostgresDestination } from "../postgres.ts";
import { sqlStateOf } from "./sqlstate.ts";

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
 * @throws {@link MillraceError} `DRAIN_DATABASE_UNREACHABLE`, or `DRAIN_DATABASE_TLS_REFUSED` for a
 * certificate that is not trusted, with what went wrong as its `cause`.
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
    ...tlsOf(destination),
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
    throw connectFailed(error, client.ssl);
  } finally {
    signal?.removeEventListener("abort", connection.destroy);
  }
}

function tlsOf({ ssl }: PostgresDestination): Pick<ClientConfig, "ssl"> {
  if (ssl === undefined || typeof ssl === "boolean") return ssl === undefined ? {} : { ssl };
  const { serverName, ...tls } = ssl;
  if (serverName === undefined) return { ssl: tls };
  // node-postgres puts the host in the place of any `servername` that it is given.
  const isGenuine: typeof checkServerIdentity = (_host, certificate) =>
    checkServerIdentity(serverName, certificate);
  return { ssl: { ...tls, checkServerIdentity: isGenuine } };
}

/** Codes of node:tls and OpenSSL for a certificate, or a handshake, that one side would not take. */
const TLS_CODE =
  /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|EPROTO$)/;

function connectFailed(error: unknown, isEncrypted: boolean): MillraceError {
  const init = { cause: error, retryable: true };
  const problem = messageOf(error) || "no answer";
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  if (typeof code === "string" && TLS_CODE.test(code)) {
    return new MillraceError(
      "DRAIN_DATABASE_TLS_REFUSED",
      `PostgreSQL's certificate, or ours, was refused (${problem}): check ssl.ca or sslrootcert, and the host's name`,
      init,
    );
  }
  // 28000 is what pg_hba.conf says to a connection that it wants encrypted.
  const isLockedOut = sqlStateOf(error) === "28000" && !isEncrypted;
  return new MillraceError(
    "DRAIN_DATABASE_UNREACHABLE",
    `cannot connect to PostgreSQL (${problem}): ${isLockedOut ? "the server may demand TLS, see postgres({ ssl })" : "check the connection string and that it is up"}`,
    init,
  );
}
