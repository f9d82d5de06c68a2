import { gzipSync } from "node:zlib";
import { waitFor } from "@millrace/core/testing";
import { expect, it } from "vitest";
import { emptyDatabase } from "../fixtures/empty-database.ts";
import { runPool } from "../fixtures/running-pool.ts";

it("a worker whose event loop does not turn is worker-hung", async () => {
  const stallMs = 1_000;
  const database = await emptyDatabase();
  const { pool, append, drained } = await runPool(
    { url: database.url },
    { stallMs, batchWaitMs: 500 },
  );
  // Each keeps the thread busy for a good part of a second and holds nothing.
  const blank = gzipSync(`[${" ".repeat(60 * 1024 * 1024)}]`);
  await append(...Array.from({ length: 30 }, () => blank));
  await waitFor(() => pool.health().code === "worker-hung", { timeoutMs: stallMs + 5_000 });
  await drained(240_000);
  await waitFor(() => pool.health().healthy);
  expect(pool.status().workerDeaths).toBe(0);
}, 300_000);
