import { createSocket } from "node:dgram";
import { connect, type NetConnectOpts, type Socket } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { gzipSync } from "node:zlib";
import { createBuffer, type DurableBuffer } from "@millrace/core/buffer";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { createDrainPool, type DrainPool, postgres } from "@millrace/drain";
import { nightwatch } from "@millrace/drain/nightwatch";
import { createIngestServer, type IngestOptions, type IngestServer } from "@millrace/ingest";
import { encodeFrame, hashToken, readRecords } from "@millrace/load";
import { selfSigned } from "@millrace/services";
import { Client } from "pg";
import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";

const SECRET = "golden-token";
const records = readRecords();
const array = `[${records.join(",")}]`;
const lines = `${records.join("\n")}\n`;
const TRANSPORTS = [
  "tcp",
  "tls",
  "unix",
  "json",
  "json-gzip",
  "ndjson",
  "ndjson-gzip",
  "object",
  "udp",
] as const;
type TransportName = (typeof TRANSPORTS)[number];

let database: TestDatabase;
let folder: string;
let buffer: DurableBuffer;
let pool: DrainPool;
const servers = new Map<string, IngestServer>();
let hash: string;

beforeAll(async () => {
  database = await createTestDatabase();
  folder = mkdtempSync(join(tmpdir(), "millrace-transports-"));
  hash = await hashToken(SECRET);
  const common = { logger: createMemoryLogger(), metrics: new Registry() };
  buffer = createBuffer({ path: join(folder, "buffer.db"), ...common });
  pool = createDrainPool({
    buffer,
    destination: postgres({ connectionString: database.url }),
    schema: nightwatch({ rollups: false }),
    workers: 1,
    batchWaitMs: 20,
    ...common,
  });
  await buffer.start();
  await pool.start();
  // A server of its own for each transport, so that rows tell by their token how they came.
  for (const name of TRANSPORTS) {
    const server = createIngestServer({
      buffer,
      tokens: [{ name, token: SECRET }],
      logger: createMemoryLogger(),
      metrics: new Registry(),
      ...optionsOf(name),
    });
    await server.start();
    servers.set(name, server);
  }
});

afterAll(async () => {
  for (const server of servers.values()) await server.close({ graceMs: 0 });
  await pool.close({ graceMs: 0 });
  await buffer.close();
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

function optionsOf(name: TransportName): Partial<IngestOptions> {
  if (name === "unix") return { socket: join(folder, "ingest.sock") };
  if (name === "tls") return { port: 0, tls: selfSigned() };
  if (name === "udp") return { port: 0, udp: { port: 0 } };
  return { port: 0, http: { port: 0 } };
}

function serverOf(name: TransportName): IngestServer {
  const server = servers.get(name);
  if (server === undefined) throw new Error(`no server for ${name}`);
  return server;
}

async function sendFrame(target: NetConnectOpts, isTls = false): Promise<void> {
  const reply = await new Promise<string>((resolve, reject) => {
    const socket: Socket = isTls
      ? connectTls({ ...target, rejectUnauthorized: false })
      : connect(target);
    let text = "";
    socket.on("data", (chunk) => {
      text += String(chunk);
      socket.end();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
    socket.write(encodeFrame(array, hash));
  });
  expect(reply).toBe("2:OK");
}

async function sendHttp(name: TransportName, body: string, type: string): Promise<void> {
  const isGzip = name.endsWith("-gzip");
  const response = await fetch(`http://127.0.0.1:${serverOf(name).httpAddress().port}/v1/ingest`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${SECRET}`,
      "content-type": type,
      ...(isGzip && { "content-encoding": "gzip" }),
    },
    body: isGzip ? gzipSync(body) : body,
  });
  expect(response.status).toBe(202);
}

async function sendDatagrams(): Promise<void> {
  const socket = createSocket("udp4");
  const { port } = serverOf("udp").udpAddress();
  for (const [index, record] of records.entries()) {
    await new Promise((resolve) =>
      socket.send(encodeFrame(`[${record}]`, hash), port, "127.0.0.1", resolve),
    );
    await waitFor(() => serverOf("udp").status().payloads > index, { description: "a datagram" });
  }
  socket.close();
}

/** Every row of every table that this transport's records landed in, without when they arrived. */
async function landedRows(client: Client, token: string): Promise<string[]> {
  const { rows: tables } = await client.query<{ name: string }>(
    `SELECT DISTINCT c.table_name AS name FROM information_schema.columns AS c
     JOIN pg_class ON relname = c.table_name AND NOT relispartition
     WHERE c.column_name = 'token' AND c.table_name LIKE 'nightwatch%' ORDER BY 1`,
  );
  const landed: string[] = [];
  for (const { name } of tables) {
    const { rows } = await client.query<{ row: string }>(
      `SELECT (to_jsonb(t) - 'token' - 'received_at')::text AS row FROM ${name} AS t
       WHERE token = $1 ORDER BY 1`,
      [token],
    );
    landed.push(...rows.map(({ row }) => `${name} ${row}`));
  }
  return landed;
}

test("the same records land in the same rows, however they were sent", async () => {
  await sendFrame({ port: serverOf("tcp").address().port, host: "127.0.0.1" });
  await sendFrame({ port: serverOf("tls").address().port, host: "127.0.0.1" }, true);
  await sendFrame({ path: join(folder, "ingest.sock") });
  for (const name of ["json", "json-gzip"] as const)
    await sendHttp(name, array, "application/json");
  for (const name of ["ndjson", "ndjson-gzip"] as const) {
    await sendHttp(name, lines, "application/x-ndjson");
  }
  for (const record of records) await sendHttp("object", record, "application/json");
  await sendDatagrams();
  await waitFor(() => buffer.status().rows === 0, {
    timeoutMs: 20_000,
    description: "empty buffer",
  });

  const client = new Client({ connectionString: database.url });
  await client.connect();
  try {
    const expected = await landedRows(client, "tcp");
    const copied = expected.filter((row) => !/^nightwatch_(issues|user_counters) /.test(row));
    expect(copied).toHaveLength(records.length);
    for (const name of TRANSPORTS) {
      expect([name, await landedRows(client, name)]).toEqual([name, expected]);
    }
    expect((await client.query("SELECT * FROM millrace_dead_letters")).rows).toEqual([]);
  } finally {
    await client.end();
  }
});
