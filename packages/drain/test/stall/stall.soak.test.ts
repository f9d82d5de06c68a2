import { checkHealth } from "@millrace/core";
import { waitFor } from "@millrace/core/testing";
import type { DrainPool } from "@millrace/drain";
import { startPostgres } from "@millrace/services";
import Sqlite from "better-sqlite3";
import { Client } from "pg";
import { expect, it, onTestFinished } from "vitest";
import { countRequests, emptyDatabase } from "../fixtures/empty-database.ts";
import { queryOnce } from "../../../../test/setup/query-once.ts";
import { type RunningPool, runPool } from "../fixtures/running-pool.ts";
import { request } from "../fixtures/telemetry.ts";

const STALL_MS = 1_000;

/** The code that the pool's health has, at the latest 5 s after `stallMs`. */
async function expectCode({ pool, metrics }: RunningPool, code: string): Promise<void> {
  await waitFor(() => pool.health().code === code, {
    timeoutMs: pool.options.stallMs + 5_000,
    description: `code ${code}`,
  });
  const [report] = checkHealth([pool]).components;
  expect(report).toMatchObject({ healthy: false, code });
  expect(await metrics.metrics()).toContain(`millrace_drain_stalled{code="${code}"} 1`);
}

async function expectRecovery(pool: DrainPool, drained: () => Promise<void>): Promise<void> {
  await drained();
  await waitFor(() => pool.health().healthy);
}

it("a server that is frozen in the middle of a batch is postgres-unreachable", async () => {
  const server = await startPostgres();
  onTestFinished(() => server.remove());
  const url = await server.createDatabase();
  const running = await runPool({ url }, { stallMs: STALL_MS });
  const { pool, append, drained } = running;
  await append([request(1)]);
  await drained();
  const backends = await queryOnce<{ pid: number }>(url, "SELECT pid FROM pg_stat_activity");
  const signal = (name: NodeJS.Signals) => {
    for (const pid of [server.pid, ...backends.map((backend) => backend.pid)]) {
      try {
        process.kill(pid, name);
      } catch {
        // The backend that was asked has ended since.
      }
    }
  };
  signal("SIGSTOP");
  try {
    await append([request(2)]);
    await expectCode(running, "postgres-unreachable");
  } finally {
    signal("SIGCONT");
  }
  await expectRecovery(pool, drained);
});

it("a table that another session has locked is table-locked, and makes the pool back off until it is free", async () => {
  const database = await emptyDatabase();
  const running = await runPool(
    { url: database.url },
    { stallMs: STALL_MS, workers: 4, batchRows: 200 },
  );
  const { pool, buffer, append, drained, metrics } = running;
  await append([request(1)]);
  await drained();
  expect(pool.status().concurrency).toMatchObject({ current: 2, max: 4, batchRows: 200 });
  await waitFor(() => {
    const phases = pool.status().workers.map(({ phase }) => phase);
    return phases.filter((phase) => phase === "resting").length === 2;
  });

  const locker = new Client({ connectionString: database.url });
  await locker.connect();
  await locker.query("BEGIN; LOCK TABLE nightwatch_requests IN ACCESS EXCLUSIVE MODE");
  try {
    await append([request(2)]);
    await expectCode(running, "table-locked");
    await waitFor(() => pool.status().concurrency.current === 1);
    expect(pool.status().concurrency).toMatchObject({ reason: "trouble" });
    expect(pool.status().concurrency.batchRows).toBeLessThan(200);
    expect(await metrics.metrics()).toContain("millrace_drain_concurrency 1");
  } finally {
    await locker.end();
  }
  await expectRecovery(pool, drained);
  const lowest = pool.status().concurrency.batchRows;

  // Under load it comes back, however fast the machine lands it.
  let rows = 2;
  const hasRecovered = () => {
    const { current, batchRows } = pool.status().concurrency;
    return current >= 2 && batchRows > lowest;
  };
  const deadline = performance.now() + 30_000;
  while (!hasRecovered() && performance.now() < deadline) {
    const start = rows + 1;
    rows += 2_000;
    await append(...Array.from({ length: 2_000 }, (_, index) => [request(start + index)]));
    await waitFor(() => buffer.status().pendingRows < 4_000);
  }
  expect(hasRecovered()).toBe(true);
  await drained(60_000);
  expect(await countRequests(database)).toMatchObject({ rows, distinct: rows });
}, 60_000);

it("a buffer file whose lock another holds is disk-trouble", async () => {
  const database = await emptyDatabase();
  const running = await runPool({ url: database.url }, { stallMs: 3_000, batchWaitMs: 500 });
  await running.append([request(1)]);
  const locker = new Sqlite(running.path);
  locker.exec("BEGIN IMMEDIATE");
  try {
    await expectCode(running, "disk-trouble");
  } finally {
    locker.close();
  }
  await expectRecovery(running.pool, running.drained);
}, 30_000);
