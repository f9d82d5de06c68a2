import { waitFor } from "@millrace/core/testing";
import { type PostgresService, startPostgres } from "@millrace/services";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { countRequests } from "./fixtures/empty-database.ts";
import { queryOnce } from "../../../test/setup/query-once.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { numbers, request } from "./fixtures/telemetry.ts";

describe("PostgreSQL that is not there", () => {
  let server: PostgresService;

  beforeAll(async () => {
    server = await startPostgres();
  });

  afterAll(async () => {
    await server.remove();
  });

  it("does not keep a pool from starting; all lands when it comes up, with two lines in the log", async () => {
    const url = await server.createDatabase();
    await server.stop();
    const { pool, append, drained, logger, synced } = await runPool(
      { url },
      { workers: 2, stallMs: 300 },
    );
    expect(pool.state).toBe("running");
    expect(pool.status().workers.map(({ phase }) => phase)).toEqual(["waiting", "waiting"]);
    expect(pool.health()).toEqual({ healthy: true });
    await append(...numbers(100).map((index) => [request(index)]));
    expect(synced()).toEqual({ 0: 100 });
    const { reason } = await waitFor(() => {
      const health = pool.health();
      return health.healthy ? undefined : health;
    });
    expect(reason).toMatch(
      /^100 rows buffered, not landing for \d+ s: cannot connect to PostgreSQL/,
    );

    await server.start();
    await drained();
    expect(await countOn(url)).toEqual({ rows: 100, distinct: 100, counted: 100 });
    await waitFor(() => pool.status().workers.every(({ phase }) => phase === "idle"));
    expect(pool.health()).toEqual({ healthy: true });
    expect(logger.lines.map(({ level, message }) => [level, message])).toEqual([
      ["warn", "batches do not land: buffering"],
      ["info", "batches land again"],
    ]);
  });

  it("is no reason to close late: rows stay for the next start", async () => {
    const url = await server.createDatabase();
    const first = await runPool({ url }, { workers: 2 });
    await server.stop();
    await first.append(...numbers(20).map((index) => [request(index)]));
    await waitFor(() => first.pool.status().workers.some(({ phase }) => phase === "waiting"));
    await first.append(...numbers(20, 20).map((index) => [request(index)]));

    const closing = first.pool.close();
    const outcome = await Promise.race([
      closing.then(() => "closed"),
      new Promise((resolve) => setTimeout(resolve, 2_000, "still closing")),
    ]);
    expect(outcome).toBe("closed");
    const kept = Object.values(first.synced()).reduce((sum, rows) => sum + rows, 0);
    expect(kept).toBe(40);
    await first.buffer.close();

    await server.start();
    const second = await runPool({ url, path: first.path });
    await second.drained();
    expect(await countOn(url)).toEqual({ rows: 40, distinct: 40, counted: 40 });
  });

  it("because it was killed, five times under load, loses and doubles nothing", async () => {
    const url = await server.createDatabase();
    const { append, drained, pool, buffer } = await runPool({ url }, { workers: 2, batchRows: 50 });
    let sent = 0;
    let isOver = false;
    const sending = (async () => {
      while (!isOver) {
        await waitFor(() => isOver || buffer.status().rows < 1_000);
        await append(...numbers(40, sent).map((index) => [request(index)]));
        sent += 40;
      }
    })();
    for (let kills = 0; kills < 5; kills++) {
      const landed = pool.status().batches;
      await waitFor(() => pool.status().batches >= landed + 3, {
        description: "batches under way",
      });
      await server.kill();
      await server.start();
    }
    isOver = true;
    await sending;
    await drained();
    expect(sent).toBeGreaterThan(400);
    expect(await countOn(url)).toEqual({ rows: sent, distinct: sent, counted: sent });
    expect(pool.status().workerDeaths).toBe(0);
  });
});

function countOn(url: string) {
  return countRequests({ query: (sql, values) => queryOnce(url, sql, values) });
}
