import { createRandom } from "@millrace/load";
import { waitFor } from "@millrace/core/testing";
import type { Client } from "pg";
import { describe, expect, it } from "vitest";
import { deadLetters, type EmptyDatabase, emptyDatabase } from "../fixtures/empty-database.ts";
import { runPool } from "../fixtures/running-pool.ts";
import { numbers } from "../fixtures/telemetry.ts";
import { connection, maintenance, rowsByPartition, ticks } from "./maintained-table.ts";

const DAY_SECONDS = 86_400;
/** Midnight UTC that began today, in Unix seconds. */
const TODAY = Math.floor(Date.now() / 1_000 / DAY_SECONDS) * DAY_SECONDS;

function tick(number: number, timestamp: number) {
  return { t: "tick", timestamp, number };
}

function isoDay(offset: number, seconds = 0): string {
  return new Date((TODAY + offset * DAY_SECONDS + seconds) * 1_000).toISOString();
}

function partitionOf(offset: number): string {
  return `p${isoDay(offset).slice(0, 10).replaceAll("-", "")}`;
}

async function countTicks({ query }: Pick<EmptyDatabase, "query">) {
  const [counts] = await query<{ rows: number; distinct: number }>(
    "SELECT count(*)::int AS rows, count(DISTINCT number)::int AS distinct FROM ticks",
  );
  return counts;
}

/** Counts again and again. @returns a function that stops, and tells whether any count was less than one before. */
async function watchCount(url: string): Promise<() => Promise<boolean>> {
  const client: Client = await connection(url);
  let isOver = false;
  let hasFallen = false;
  const watching = (async () => {
    let before = 0;
    while (!isOver) {
      const { rows } = await client.query<{ count: number }>(
        "SELECT count(*)::int AS count FROM ticks",
      );
      const count = rows[0]?.count ?? 0;
      hasFallen ||= count < before;
      before = count;
    }
  })();
  return async () => {
    isOver = true;
    await watching;
    return hasFallen;
  };
}

describe("a pool", () => {
  it("makes partitions when it starts, lands rows in them, and counts what it made", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool, metrics } = await runPool(
      { url: database.url },
      { schema: [ticks()] },
    );
    await append([tick(1, TODAY), tick(2, TODAY - 1), tick(3, 0), tick(4, 4_070_908_800)]);
    await drained();
    expect(await rowsByPartition(database)).toEqual({
      default: 2,
      [partitionOf(-1)]: 1,
      [partitionOf(0)]: 1,
      [partitionOf(1)]: 0,
      [partitionOf(2)]: 0,
    });
    expect(await deadLetters(database)).toEqual([]);
    expect(pool.status().partitions).toMatchObject({
      partitionsCreated: 4,
      maintenanceFailures: 0,
      maintenanceSkips: 0,
    });
    expect(await metrics.metrics()).toContain("millrace_drain_partitions_created_total 4");
  });

  it("lands on when its partitions cannot be looked after, and says so once", async () => {
    const database = await emptyDatabase();
    await database.query(
      `CREATE TABLE ticks (ticked_at timestamptz NOT NULL, number integer,
         received_at timestamptz NOT NULL, token text NOT NULL, unknown_fields jsonb)`,
    );
    const { append, drained, logger, pool } = await runPool(
      { url: database.url },
      { schema: [ticks()], workers: 2 },
    );
    await append([tick(1, TODAY)]);
    await drained();
    expect(await countTicks(database)).toEqual({ rows: 1, distinct: 1 });
    await waitFor(() => logger.lines.length > 0);
    expect(logger.lines).toMatchObject([
      { message: "a table's partitions are not looked after", fields: { table: "ticks" } },
    ]);
    expect(pool.status().retriesByReason).toEqual({});
  });

  it("lands across midnight, day after day, while partitions are made and dropped: nothing lost or doubled", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool(
      { url: database.url },
      { schema: [ticks()], workers: 2, batchRows: 20 },
    );
    const stopWatching = await watchCount(database.url);
    const { maintain } = await maintenance(database.url);
    const perDay = 200;
    const days = 4;
    const landing = (async () => {
      for (const step of numbers((perDay * days) / 50)) {
        const ticksOfStep = numbers(50, step * 50).map((number) => {
          // Every other one is a few seconds before the midnight that the others are after.
          const midnight = TODAY + (2 + Math.floor(number / perDay)) * DAY_SECONDS;
          return [tick(number, midnight + (number % 2 === 0 ? -1 : 1) * (0.5 + (number % 9)))];
        });
        await append(...ticksOfStep);
      }
    })();
    let failures = 0;
    for (const day of numbers(days)) {
      for (const seconds of [-3_600, -1, 0, 1]) {
        failures += (await maintain(isoDay(day + 1, seconds))).counts.maintenanceFailures;
      }
    }
    await landing;
    await drained();
    await maintain(isoDay(days + 2));
    expect(failures).toBe(0);
    expect(await stopWatching()).toBe(false);
    expect(await countTicks(database)).toEqual({ rows: perDay * days, distinct: perDay * days });
    expect(await deadLetters(database)).toEqual([]);
    expect(pool.status()).toMatchObject({ workerDeaths: 0 });
    const byPartition = await rowsByPartition(database);
    expect(byPartition).toMatchObject({
      default: 0,
      [partitionOf(1)]: perDay / 2,
      [partitionOf(2)]: perDay,
      [partitionOf(days)]: perDay,
      [partitionOf(days + 1)]: perDay / 2,
    });
  });

  it("lands late rows while others like them are moved: each is there once at any moment", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool(
      { url: database.url },
      { schema: [ticks()], workers: 2, batchRows: 20 },
    );
    const stopWatching = await watchCount(database.url);
    const movers = [await maintenance(database.url), await maintenance(database.url)];
    const random = createRandom(7);
    const rows = 1_500;
    let hasLanded = false;
    const landing = (async () => {
      for (const step of numbers(rows / 50)) {
        // Further back as time goes on, so that there are always new days to move.
        const oldest = 3 + Math.floor((step * 25) / (rows / 50));
        const late = numbers(50, step * 50).map((number) => [
          tick(number, TODAY - (random() * oldest + 1) * DAY_SECONDS),
        ]);
        await append(...late);
      }
      await drained();
      hasLanded = true;
    })();
    let moved = 0;
    await Promise.all(
      movers.map(async ({ maintain }) => {
        while (!hasLanded) {
          const { counts } = await maintain(isoDay(0, 1));
          expect(counts.maintenanceFailures).toBe(0);
          moved += counts.lateRowsMoved;
        }
      }),
    );
    await landing;
    await movers[0]?.maintain(isoDay(0, 1));
    expect(await stopWatching()).toBe(false);
    expect(moved).toBeGreaterThan(0);
    expect(await countTicks(database)).toEqual({ rows, distinct: rows });
    expect(await rowsByPartition(database)).toMatchObject({ default: 0 });
    expect(await deadLetters(database)).toEqual([]);
    expect(pool.status()).toMatchObject({ workerDeaths: 0 });
  });

  it("whose COPY began before a partition was made lands its rows there in a second try", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool({ url: database.url }, { schema: [ticks()] });
    // Once a COPY has begun, it knows the partitions that there were.
    await database.query(
      `CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$`,
    );
    await database.query(
      "CREATE TRIGGER hold BEFORE INSERT ON ticks FOR EACH STATEMENT EXECUTE FUNCTION hold()",
    );
    const holder = await connection(database.url);
    await holder.query("SELECT pg_advisory_lock(1)");
    await append([tick(1, TODAY), tick(2, TODAY + 5 * DAY_SECONDS)]);
    await waitFor(async () => {
      const waiting = await database.query(
        "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
      );
      return waiting.length > 0;
    });
    const { maintain } = await maintenance(database.url);
    const { counts } = await maintain(isoDay(4));
    expect(counts).toMatchObject({ maintenanceFailures: 0, maintenanceSkips: 0 });
    await holder.query("SELECT pg_advisory_unlock(1)");
    await drained();
    expect(pool.status().retriesByReason).toEqual({ data: 1 });
    expect(await deadLetters(database)).toEqual([]);
    expect(await rowsByPartition(database)).toMatchObject({
      default: 0,
      [partitionOf(0)]: 1,
      [partitionOf(5)]: 1,
    });
  });
});
