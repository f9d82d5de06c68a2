import { waitFor } from "@millrace/core/testing";
import type { DrainEvents } from "@millrace/drain";
import { describe, expect, it } from "vitest";
import {
  countLetters,
  refuseRequests,
  refusedRequests,
  takeRequests,
} from "../dead-letters/refused-requests.ts";
import { countRequests, deadLetters, emptyDatabase } from "../fixtures/empty-database.ts";
import { startFaultyProxy } from "../fixtures/faulty-proxy.ts";
import { runPool } from "../fixtures/running-pool.ts";
import { log, numbers, request } from "../fixtures/telemetry.ts";

/** A pool behind a proxy that counts the COPYs to the table of requests. */
async function countingPool() {
  const database = await emptyDatabase();
  const proxy = await startFaultyProxy(database.url);
  const running = await runPool({ url: proxy.url }, { batchRows: 10_000 });
  const copies = { requests: 0 };
  proxy.rule = ({ text }) => {
    if (text.startsWith('COPY "nightwatch_requests"')) copies.requests++;
    return "pass";
  };
  return { database, copies, ...running };
}

describe("a table that refuses every row", () => {
  it("costs a bounded number of COPYs, holds no other table up, and takes rows once it is repaired", async () => {
    const { database, copies, append, drained, pool, logger, metrics } = await countingPool();
    const changes: Array<DrainEvents["breaker:changed"]> = [];
    pool.on("breaker:changed", (change) => changes.push(change));
    await refuseRequests(database);
    await append(
      numbers(5_000).flatMap((index) =>
        index % 10 === 0 ? [request(index), log(`message ${index}`)] : [request(index)],
      ),
    );
    await drained();
    // Without a breaker it is two for each row; with it, 51 rows are looked for and 16 sampled.
    expect(copies.requests).toBeGreaterThan(50);
    expect(copies.requests).toBeLessThan(200);
    expect(await countLetters(database)).toBe(5_000);
    const [logs] = await database.query<{ rows: number }>(
      "SELECT count(*)::int AS rows FROM nightwatch_logs",
    );
    expect(logs?.rows).toBe(500);
    expect(changes).toEqual([
      {
        table: "nightwatch_requests",
        isOpen: true,
        reason:
          "nightwatch_requests refuses every row (23514 at none): its records become dead letters",
      },
    ]);
    expect(pool.status().openBreakers).toMatchObject([
      { table: "nightwatch_requests", sqlState: "23514", at: "none" },
    ]);
    expect(pool.health()).toEqual({ healthy: true, reason: changes[0]?.reason });
    expect(await metrics.metrics()).toContain(
      'millrace_drain_breaker_open{table="nightwatch_requests"} 1',
    );
    expect(logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);

    copies.requests = 0;
    await append([request(6_000), request(6_001), log("still fine")]);
    await append(numbers(500, 7_000).map((index) => request(index)));
    await drained();
    expect(copies.requests).toBeLessThanOrEqual(2 * 17);
    expect(await countLetters(database)).toBe(5_502);

    await takeRequests(database);
    await append(numbers(100, 8_000).map((index) => request(index)));
    await drained();
    await waitFor(() => pool.status().openBreakers.length === 0, { timeoutMs: 5_000 });
    expect(changes.at(-1)).toEqual({
      table: "nightwatch_requests",
      isOpen: false,
      reason: undefined,
    });
    expect(pool.health()).toEqual({ healthy: true });
    expect(await metrics.metrics()).not.toContain("millrace_drain_breaker_open{");
    expect(await countRequests(database)).toEqual({ rows: 100, distinct: 100, counted: 100 });

    const filter = { code: "sqlstate_23514" };
    expect(await pool.deadLetters.replay({ filter })).toMatchObject({ replayed: 5_502 });
    expect(await countRequests(database)).toEqual({ rows: 5_602, distinct: 5_602, counted: 5_602 });
  });

  it("is told from one that has many bad rows: no good row is harmed, however they are mixed", async () => {
    const database = await emptyDatabase();
    const { append, drained } = await runPool({ url: database.url });
    await database.query("ALTER TABLE nightwatch_requests ADD CHECK (url <> 'bad')");
    const isBad = (index: number) => index < 400 && index % 4 !== 0;
    await append(numbers(600).map((index) => request(index, isBad(index) ? { url: "bad" } : {})));
    await drained();
    expect(await countLetters(database)).toBe(300);
    expect(await countRequests(database)).toMatchObject({ rows: 300, distinct: 300 });
  });

  it("has its good rows found behind a long run of bad ones", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool({ url: database.url });
    await database.query("ALTER TABLE nightwatch_requests ADD CHECK (url <> 'bad')");
    await append(numbers(700).map((index) => request(index, index < 300 ? { url: "bad" } : {})));
    await drained();
    expect(await countLetters(database)).toBe(300);
    expect(await countRequests(database)).toMatchObject({ rows: 400, distinct: 400 });
    expect(pool.status().openBreakers).toEqual([]);
  });

  it("says of letters that were not tried by themselves that they were not", async () => {
    const { database } = await refusedRequests(200);
    const reasons = Map.groupBy(await deadLetters(database), ({ reason }) =>
      reason.startsWith("not tried by itself"),
    );
    expect(reasons.get(true)?.length).toBe(200 - 51 - 16);
    expect(reasons.get(false)?.length).toBe(51 + 16);
  });
});
