import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { waitFor } from "@millrace/core/testing";
import { describe, expect, it } from "vitest";
import { type RunningServer, runServer } from "../support/running-server.ts";
import { HostileServer } from "./hostile-server.ts";
import { makeClient, numbered, runClient } from "./running-client.ts";

function storedRecords(running: RunningServer): unknown[] {
  return running
    .stored()
    .flatMap(({ payload }) => JSON.parse(payload.toString("utf8")) as unknown[]);
}

describe("batches", () => {
  it("records arrive in order, in payloads of at most maxBatchRecords, under the token", async () => {
    const server = await runServer({ tokens: [{ name: "shop", token: "secret" }] });
    const { client } = await runClient({ port: server.address.port, maxBatchRecords: 100 });
    const records = numbered(1_050);
    for (const record of records.slice(0, 50)) expect(client.send(record)).toBe(true);
    expect(client.send(records.slice(50))).toBe(true);
    expect(await client.flush()).toBe(true);
    expect(storedRecords(server)).toEqual(records);
    expect(server.stored()).toHaveLength(11);
    expect(server.stored().every(({ token }) => token === "shop")).toBe(true);
    expect(client.status()).toMatchObject({
      connection: "connected",
      sentRecords: 1_050,
      acknowledgedRecords: 1_050,
      bufferedRecords: 0,
      bufferedBytes: 0,
      unansweredBatches: 0,
    });
  });

  it("a batch that does not fill leaves after maxBatchDelayMs", async () => {
    const server = await runServer();
    const { client } = await runClient({ port: server.address.port, maxBatchDelayMs: 20 });
    client.send(numbered(3));
    await waitFor(() => client.status().acknowledgedRecords === 3);
    client.send(numbered(2, 3));
    await waitFor(() => client.status().acknowledgedRecords === 5);
    expect(storedRecords(server)).toEqual(numbered(5));
    expect(server.server.status().connections).toBe(1);
  });

  it("a batch is full by bytes too, and a record that fits into none is dropped", async () => {
    const server = await runServer();
    const { client, reported } = await runClient({
      port: server.address.port,
      maxBatchBytes: 2_000,
    });
    const texts = Array.from({ length: 20 }, (_, n) => ({ n, text: "é".repeat(200) }));
    client.send(texts);
    expect(client.send({ text: "x".repeat(2_000) })).toBe(false);
    expect(await client.flush()).toBe(true);
    expect(storedRecords(server)).toEqual(texts);
    expect(server.stored().every(({ payload }) => payload.length <= 2_000)).toBe(true);
    await waitFor(() => reported.length > 0);
    expect(reported).toEqual([{ reason: "too_large", records: 1 }]);
  });

  it("several batches are on their way at a time, up to the window, after a first answer", async () => {
    const server = await HostileServer.run();
    const { client } = await runClient({
      port: server.port,
      maxBatchRecords: 1,
      maxUnansweredBatches: 4,
    });
    client.send(numbered(200));
    expect(await client.flush()).toBe(true);
    expect(server.records).toEqual(numbered(200));
    expect(server.connections).toBe(1);
    expect(server.mostUnanswered).toBeGreaterThan(1);
    expect(server.mostUnanswered).toBeLessThanOrEqual(4);
  });

  it("gzip payloads are smaller, hold the same and stay in order", async () => {
    const server = await runServer();
    const { client } = await runClient({
      port: server.address.port,
      gzip: true,
      maxBatchRecords: 50,
    });
    client.send(numbered(500));
    expect(await client.flush()).toBe(true);
    const payloads = server.stored().map(({ payload }) => payload);
    const records = payloads.flatMap(
      (payload) => JSON.parse(gunzipSync(payload).toString()) as unknown[],
    );
    expect(records).toEqual(numbered(500));
    for (const payload of payloads) {
      expect(payload.length).toBeLessThan(gunzipSync(payload).length / 2);
    }
  });

  it("later changes to a record do not reach the server", async () => {
    const server = await HostileServer.run();
    const { client } = await runClient({ port: server.port });
    const record = { t: "log", n: 1 };
    client.send(record);
    record.n = 2;
    await client.flush();
    expect(server.records).toEqual([{ t: "log", n: 1 }]);
  });
});

describe("send", () => {
  it("never throws, whatever it is given, and the rest of a list goes on", async () => {
    const server = await HostileServer.run();
    const { client, reported } = await runClient({ port: server.port });
    const circular: Record<string, unknown> = { good: false };
    circular["self"] = circular;
    const revoked = Proxy.revocable([], {});
    revoked.revoke();
    const toJSON = () => {
      throw Object.create(null) as Error;
    };
    expect(client.send([{ n: 1 }, circular, { n: 1n }, { toJSON }, { n: 2 }])).toBe(false);
    for (const bad of [null, undefined, 7, "text", Symbol("no"), revoked.proxy, [[]]]) {
      expect(client.send(bad as never)).toBe(false);
    }
    expect(client.send([])).toBe(true);
    expect(await client.flush()).toBe(true);
    expect(server.records).toEqual([{ n: 1 }, { n: 2 }]);
    await waitFor(() => reported.length > 0);
    expect(client.status()).toMatchObject({
      sentRecords: 12,
      acknowledgedRecords: 2,
      droppedRecords: { unencodable: 10 },
    });
  });

  it("before start keeps records for it; after close it takes none", async () => {
    const server = await HostileServer.run();
    const { client } = makeClient({ port: server.port });
    expect(client.send(numbered(2))).toBe(true);
    await client.start();
    expect(await client.flush()).toBe(true);
    expect(server.records).toEqual(numbered(2));
    await client.close();
    expect(client.send({ n: 1 })).toBe(false);
    expect(client.status().droppedRecords.closed).toBe(1);
  });

  it("in a listener for drops, of a record that is dropped, does not go round for ever", async () => {
    const server = await HostileServer.run();
    const { client, reported } = await runClient({ port: server.port });
    let more = 3;
    client.on("records:dropped", () => {
      if (more-- > 0) client.send({ n: 1n });
    });
    client.send([{ n: 1n }, { n: 2n }]);
    await waitFor(() => client.status().droppedRecords.unencodable === 5);
    expect(reported[0]).toEqual({ reason: "unencodable", records: 2 });
  });

  it("does no I/O in the caller's turn", async () => {
    const server = await HostileServer.run();
    const { client } = await runClient({ port: server.port, maxBatchRecords: 1 });
    client.send({ n: 1 });
    await waitFor(() => client.status().acknowledgedRecords === 1);
    client.send({ n: 2 });
    expect(client.status().unansweredBatches).toBe(0);
    expect(await client.flush()).toBe(true);
  });
});

describe("flush", () => {
  it("says true at once when there is nothing to wait for", async () => {
    const { client } = makeClient({ port: 1 });
    expect(await client.flush({ timeoutMs: 60_000 })).toBe(true);
  });

  it("says false when its time is up, and the records are still tried", async () => {
    const server = await HostileServer.run("refuse");
    const { client } = await runClient({ port: server.port });
    client.send(numbered(1));
    expect(await client.flush({ timeoutMs: 50 })).toBe(false);
    expect(client.status().bufferedRecords).toBe(1);
    server.behave = "accept";
    expect(await client.flush()).toBe(true);
  });

  it("says false when something was dropped meanwhile", async () => {
    const server = await HostileServer.run("refuse");
    const { client } = await runClient({ port: server.port, refusalRetryMs: 0 });
    client.send(numbered(1));
    expect(await client.flush()).toBe(false);
    expect(client.status()).toMatchObject({ droppedRecords: { refused: 1 }, refusedBatches: 1 });
  });
});

describe("lifecycle", () => {
  it("close delivers what is buffered, closes the connection, and can be called twice", async () => {
    const server = await HostileServer.run();
    const { client, metrics } = await runClient({ port: server.port, maxBatchDelayMs: 60_000 });
    client.send(numbered(10));
    const text = await metrics.metrics();
    expect(text).toMatch(/millrace_ingest_client_buffered_bytes \d\d/);
    const closing = client.close();
    expect(client.close()).toBe(closing);
    await closing;
    expect(client.state).toBe("closed");
    expect(await client.closed).toBeUndefined();
    expect(server.records).toEqual(numbered(10));
    await waitFor(() => server.openConnections === 0);
    expect(await metrics.metrics()).not.toContain("millrace_ingest_client");
    await expect(client.start()).rejects.toMatchObject({ code: "ILLEGAL_STATE" });
  });

  it("close drops, counts and reports what it could not deliver in its grace period", async () => {
    const server = await HostileServer.run("never-answer");
    const { client, reported, metrics } = await runClient({
      port: server.port,
      maxBatchRecords: 10,
    });
    client.send(numbered(25));
    await server.receives(10);
    expect(await metrics.metrics()).toContain(
      'millrace_ingest_client_records_total{outcome="acknowledged"} 0',
    );
    await client.close({ graceMs: 50 });
    expect(client.status().droppedRecords).toMatchObject({ unanswered: 10, closed: 15 });
    expect(reported).toContainEqual({ reason: "closed", records: 15 });
  });

  it("close of a client that never started drops what it was given", async () => {
    const { client } = makeClient({ port: 1 });
    client.send(numbered(3));
    await client.close();
    await waitFor(() => client.status().droppedRecords.closed === 3);
  });

  it("does not keep the process alive, and leaves nothing behind when closed", async () => {
    const server = await HostileServer.run();
    for (const end of ["close", "forget"]) {
      const fixture = fileURLToPath(new URL("../fixtures/sends-records.ts", import.meta.url));
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ["--conditions=@millrace/source", fixture, String(server.port), end],
        { timeout: 20_000 },
      );
      expect(JSON.parse(stdout)).toEqual({ isDelivered: true, left: [] });
    }
  });
});

it("an idle connection is closed before the server would, and opened again when needed", async () => {
  const server = await HostileServer.run();
  const { client, logger } = await runClient({ port: server.port, idleTimeoutMs: 20 });
  client.send({ n: 1 });
  expect(await client.flush()).toBe(true);
  await waitFor(() => client.status().connection === "disconnected");
  client.send({ n: 2 });
  expect(await client.flush()).toBe(true);
  expect(server.connections).toBe(2);
  expect(client.health()).toEqual({ healthy: true });
  expect(logger.lines).toEqual([]);
});
