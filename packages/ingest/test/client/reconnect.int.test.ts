import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { waitFor } from "@millrace/core/testing";
import type { IngestClientEvents } from "@millrace/ingest";
import { expect, it, onTestFinished } from "vitest";
import { readStored, runServer } from "../support/running-server.ts";
import { HostileServer } from "./hostile-server.ts";
import { numbered, runClient } from "./running-client.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

it("a server that comes back after many tries gets everything, in order", async () => {
  const server = await HostileServer.run();
  await server.stop();
  const { client, logger } = await runClient({ port: server.port, maxBatchRecords: 10 });
  const changes: string[] = [];
  client.on("connection:changed", ({ connection }: IngestClientEvents["connection:changed"]) =>
    changes.push(connection),
  );
  client.send(numbered(95));
  await waitFor(() => changes.filter((change) => change === "waiting").length >= 5);
  expect(client.health()).toMatchObject({
    healthy: false,
    reason: expect.stringContaining("ECONNREFUSED"),
  });
  expect(logger.lines).toHaveLength(1);
  await server.listen();
  expect(await client.flush()).toBe(true);
  expect(server.records).toEqual(numbered(95));
  expect(changes.slice(0, 3)).toEqual(["connecting", "waiting", "disconnected"]);
  expect(changes.at(-1)).toBe("connected");
  expect(client.health()).toEqual({ healthy: true });
});

it("nothing acknowledged is lost when the server is closed and started again under load", async () => {
  const first = await runServer();
  const { port } = first.address;
  const { client } = await runClient({ port, maxBatchRecords: 5, maxBatchDelayMs: 1 });
  let sent = 0;
  const sending = setInterval(() => {
    client.send(numbered(20, sent));
    sent += 20;
  }, 1);
  try {
    await waitFor(() => client.status().acknowledgedRecords > 200);
    await first.server.close({ graceMs: 0 });
    await first.buffer.close();
    await waitFor(() => client.status().connection === "waiting");
    const second = await runServer({ port }, { path: first.path });
    await waitFor(() => second.server.status().payloads > 20);
  } finally {
    clearInterval(sending);
  }
  expect(await client.flush()).toBe(true);
  const stored = readStored(first.path).flatMap(
    ({ payload }) => JSON.parse(payload.toString()) as Array<{ n: number }>,
  );
  // Sent again because their answer was lost: each of them at most once more per broken connection.
  expect(new Set(stored.map(({ n }) => n)).size).toBe(sent);
  expect(stored.length - sent).toBeLessThanOrEqual(8 * 5);
  expect(client.status().acknowledgedRecords).toBe(sent);
});

async function serveInProcess(
  path: string,
  port = 0,
): Promise<{ child: ChildProcess; port: number }> {
  const fixture = fileURLToPath(new URL("../fixtures/serves-until-killed.ts", import.meta.url));
  const child = spawn(
    process.execPath,
    ["--conditions=@millrace/source", fixture, path, String(port)],
    { stdio: ["ignore", "pipe", "ignore"] },
  );
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  const exited = once(child, "exit").then(([code]) => {
    throw new Error(`the server exited with ${String(code)} before it listened`);
  });
  const [address] = (await Promise.race([once(child.stdout, "data"), exited])) as [Buffer];
  return { child, port: (JSON.parse(address.toString()) as { port: number }).port };
}

it("nothing acknowledged is lost, and all arrives, when the server is killed under load", async () => {
  const path = join(temporaryFolder(), "buffer.db");
  const first = await serveInProcess(path);
  const { client } = await runClient({ port: first.port, maxBatchRecords: 5, maxBatchDelayMs: 1 });
  let sent = 0;
  const sending = setInterval(() => {
    client.send(numbered(20, sent));
    sent += 20;
  }, 1);
  try {
    await waitFor(() => client.status().acknowledgedRecords > 500);
    const { acknowledgedRecords } = client.status();
    first.child.kill("SIGKILL");
    await once(first.child, "exit");
    await waitFor(() => client.status().connection === "waiting");
    await serveInProcess(path, first.port);
    await waitFor(() => client.status().acknowledgedRecords > acknowledgedRecords + 500);
  } finally {
    clearInterval(sending);
  }
  expect(await client.flush()).toBe(true);
  expect(client.status().acknowledgedRecords).toBe(sent);
  const stored = readStored(path).flatMap(
    ({ payload }) => JSON.parse(payload.toString()) as Array<{ n: number }>,
  );
  expect(new Set(stored.map(({ n }) => n)).size).toBe(sent);
});

it("at-most-once never sends a batch twice, and counts those of unknown fate", async () => {
  let frames = 0;
  const server = await HostileServer.run(() => (++frames % 3 === 0 ? "reset" : "accept"));
  const { client } = await runClient({
    port: server.port,
    maxBatchRecords: 1,
    delivery: "at-most-once",
  });
  client.send(numbered(100));
  await client.flush();
  const { acknowledgedRecords, droppedRecords } = client.status();
  expect(acknowledgedRecords + droppedRecords.unanswered).toBe(100);
  expect(droppedRecords.unanswered).toBeGreaterThan(0);
  expect(new Set(server.payloads.map(String)).size).toBe(server.payloads.length);
});

it("with the server away memory stays bounded, the oldest go, and each is counted", async () => {
  const server = await HostileServer.run();
  await server.stop();
  const maxBufferedBytes = 64 * 1024;
  const { client, reported } = await runClient({
    port: server.port,
    maxBatchBytes: 4 * 1024,
    maxBufferedBytes,
  });
  for (let n = 0; n < 10_000; n++) {
    expect(client.send({ n, text: "x".repeat(50) })).toBe(true);
    expect(client.status().bufferedBytes).toBeLessThanOrEqual(maxBufferedBytes);
  }
  await waitFor(() => reported.length > 0);
  const { bufferedRecords, droppedRecords } = client.status();
  expect(droppedRecords.buffer_full).toBe(10_000 - bufferedRecords);
  expect(bufferedRecords).toBeGreaterThan(300);
  await server.listen();
  expect(await client.flush()).toBe(true);
  const kept = (server.records as Array<{ n: number }>).map(({ n }) => n);
  expect(kept).toEqual(
    Array.from({ length: bufferedRecords }, (_, n) => droppedRecords.buffer_full + n),
  );
});

it("a server that answers busy gets the batch again, later, and then the rest in order", async () => {
  let refusals = 5;
  const server = await HostileServer.run(() => (refusals-- > 0 ? "refuse" : "accept"));
  const { client } = await runClient({ port: server.port, maxBatchRecords: 10 });
  client.send(numbered(50));
  expect(await client.flush()).toBe(true);
  expect(client.status()).toMatchObject({ refusedBatches: 5, acknowledgedRecords: 50 });
  expect(server.records.slice(-50)).toEqual(numbered(50));
});

it("with a wrong token records are dropped as refused, one by one, and the rest goes on waiting", async () => {
  const server = await runServer({ tokens: ["another"] });
  const { client } = await runClient({
    port: server.address.port,
    maxBatchRecords: 1,
    refusalRetryMs: 20,
  });
  client.send(numbered(3));
  expect(await client.flush()).toBe(false);
  expect(client.status()).toMatchObject({
    acknowledgedRecords: 0,
    droppedRecords: { refused: 3 },
  });
  expect(server.server.status().refusals.token).toBeGreaterThanOrEqual(6);
  expect(client.health().reason).toContain("does not know the token");
});

it("a batch that the server never takes does not hold up those behind it for ever", async () => {
  const server = await runServer({ limits: { maxFrameBytes: 500 } });
  const { client } = await runClient({
    port: server.address.port,
    maxBatchRecords: 1,
    refusalRetryMs: 30,
  });
  client.send([{ n: 1 }, { n: 2, text: "x".repeat(1_000) }, { n: 3 }]);
  expect(await client.flush()).toBe(false);
  expect(server.stored().map(({ payload }) => payload.toString())).toEqual([
    '[{"n":1}]',
    '[{"n":3}]',
  ]);
  expect(client.status().droppedRecords.refused).toBe(1);
});
