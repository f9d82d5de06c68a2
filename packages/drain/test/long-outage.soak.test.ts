import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { waitFor } from "@millrace/core/testing";
import { expect, it, onTestFinished, vi } from "vitest";
import { countRequests, emptyDatabase } from "./fixtures/empty-database.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { numbers, request } from "./fixtures/telemetry.ts";

/** 400 of them are a month, in milliseconds. */
const STEP_MS = 6_480_000;

it("rows that have waited for a month land, the oldest first, under the time that they arrived", async () => {
  const database = await emptyDatabase();
  const { append, drained, pool } = await runPool(
    { url: database.url, isIdle: true },
    { batchRows: 50, concurrency: "fixed" },
  );
  const monthAgo = Date.now() - 400 * STEP_MS;
  vi.useFakeTimers({ toFake: ["Date"] });
  for (const index of numbers(400)) {
    vi.setSystemTime(monthAgo + index * STEP_MS);
    await append([request(index)]);
  }
  vi.useRealTimers();

  await pool.start();
  await drained();
  expect(await countRequests(database)).toEqual({ rows: 400, distinct: 400, counted: 400 });
  const batches = await database.query<{ first: number }>(
    "SELECT first_payload_id::int AS first FROM millrace_ledger ORDER BY landed_at",
  );
  expect(batches.map(({ first }) => first)).toEqual(numbers(8).map((batch) => batch * 50 + 1));
  const [oldest] = await database.query<{ received: number }>(
    "SELECT (extract(epoch FROM min(received_at)) * 1000)::float8 AS received FROM nightwatch_requests",
  );
  expect(oldest?.received).toBeGreaterThanOrEqual(monthAgo);
  expect(oldest?.received).toBeLessThan(monthAgo + STEP_MS);
});

it.each([false, true])(
  "a server that takes connections and never answers is given up, and closing does not wait for it (TLS: %s)",
  async (ssl) => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.resume();
    });
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const address = silent.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const { append, pool, synced } = await runPool({
      url: `postgres://app:secret@127.0.0.1:${port}/telemetry`,
      destination: { connectTimeoutMs: 200, ...(ssl && { ssl: true }) },
    });
    await append([request(1)]);
    await waitFor(() => pool.status().workers[0]?.reason?.includes("timeout"));
    // It tries again, and again.
    await waitFor(() => sockets.size >= 3);
    await pool.close();
    expect(synced()).toEqual({ 0: 1 });
  },
);
