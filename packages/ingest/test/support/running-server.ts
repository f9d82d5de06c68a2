import { join } from "node:path";
import { type BufferOptions, createBuffer, type DurableBuffer } from "@millrace/core/buffer";
import { createMemoryLogger, type MemoryLogger, waitFor } from "@millrace/core/testing";
import { createIngestServer, type IngestOptions, type IngestServer } from "@millrace/ingest";
import Sqlite from "better-sqlite3";
import { Registry } from "prom-client";
import { onTestFinished } from "vitest";
import { temporaryFolder } from "./temporary-folder.ts";

export interface StoredPayload {
  payload: Buffer;
  token: string;
}

export interface RunningServer {
  server: IngestServer;
  buffer: DurableBuffer;
  /** Not there on a Unix socket. */
  readonly address: { host: string; port: number };
  logger: MemoryLogger;
  metrics: Registry;
  path: string;
  /** What is in the file, read through another connection. */
  stored(): StoredPayload[];
}

/** A server on a free port over a real buffer in a temporary folder; gone when the test is. */
export async function runServer(
  options: Partial<IngestOptions> = {},
  bufferOptions: Partial<BufferOptions> = {},
): Promise<RunningServer> {
  const path = join(temporaryFolder(), "buffer.db");
  const logger = createMemoryLogger();
  const metrics = new Registry();
  const buffer = createBuffer({ path, logger, metrics, ...bufferOptions });
  const port = options.socket === undefined && options.listen === undefined ? 0 : undefined;
  const server = createIngestServer({ buffer, port, logger, metrics, ...options });
  onTestFinished(async () => {
    await server.close({ graceMs: 0 });
    await buffer.close();
    const left = server.status();
    if (left.unfinishedBytes !== 0 || left.openConnections !== 0) {
      throw new Error(`left behind: ${JSON.stringify(left)}`);
    }
  });
  await buffer.start();
  await server.start();
  return {
    server,
    buffer,
    logger,
    metrics,
    path,
    get address() {
      return server.address();
    },
    stored: () => readStored(path),
  };
}

/** Must use the buffer's own SQLite: a second copy of the library in one process breaks its locks. */
export function readStored(path: string): StoredPayload[] {
  const database = new Sqlite(path);
  try {
    return database
      .prepare<[], StoredPayload>(
        `SELECT payload, tokens.name AS token FROM payloads JOIN tokens ON tokens.id = token
         ORDER BY payloads.id`,
      )
      .all();
  } finally {
    database.close();
  }
}

export async function waitForNoConnections({ server }: RunningServer): Promise<void> {
  await waitFor(() => server.status().openConnections === 0, { description: "no connections" });
}
