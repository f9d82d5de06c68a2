import { createRandom } from "@millrace/load";
import { waitFor } from "@millrace/core/testing";
import { startPostgres } from "@millrace/services";
import { expect, it, onTestFinished } from "vitest";
import { countRequests, emptyDatabase } from "./fixtures/empty-database.ts";
import { queryOnce } from "../../../test/setup/query-once.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { numbers, request } from "./fixtures/telemetry.ts";

const SEED = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);
const CRASHES = 6;
const MAX_WAITING_ROWS = 2_000;

it("payloads wait in the buffer, landed, until the barrier", async () => {
  const { url, query } = await emptyDatabase();
  const { append, drained, pool } = await runPool({
    url,
    destination: { synchronousCommit: "off" },
  });
  await append(...numbers(50).map((index) => [request(index)]));
  await drained();
  expect(await countRequests({ query })).toEqual({ rows: 50, distinct: 50, counted: 50 });
  expect(pool.status().retriesByReason).toEqual({});
});

it(`commits that a crash of PostgreSQL loses land again (MILLRACE_TEST_SEED=${SEED})`, async () => {
  const random = createRandom(SEED);
  // A WAL that is hardly ever written by itself: without a barrier a crash loses all that came last.
  const server = await startPostgres({ settings: { wal_writer_delay: "10s" } });
  onTestFinished(() => server.remove());
  const url = await server.createDatabase();
  const { append, buffer, drained, pool } = await runPool(
    { url, destination: { synchronousCommit: "off" } },
    { workers: 2, batchRows: 20, batchWaitMs: 0 },
  );
  let sent = 0;
  let isOver = false;
  const sending = (async () => {
    while (!isOver) {
      // However slow the machine is, what waits can be drained in time.
      await waitFor(() => isOver || buffer.status().rows < MAX_WAITING_ROWS, { timeoutMs: 60_000 });
      await append(...numbers(20, sent).map((index) => [request(index)]));
      sent += 20;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  for (let crash = 0; crash < CRASHES; crash++) {
    const { batches } = pool.status();
    await waitFor(() => pool.status().batches > batches, { timeoutMs: 30_000 });
    await new Promise((resolve) => setTimeout(resolve, random() * 400));
    await server.kill();
    await server.start();
  }
  isOver = true;
  await sending;
  await drained(60_000);
  const query = <Row>(sql: string) => queryOnce<Row>(url, sql);
  expect(await countRequests({ query })).toEqual({ rows: sent, distinct: sent, counted: sent });
  // Otherwise this test would show nothing.
  expect(pool.status().retriesByReason["lost"]).toBeGreaterThan(0);
}, 300_000);
