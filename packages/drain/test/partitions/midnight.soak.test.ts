import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { deadLetters, emptyDatabase } from "../fixtures/empty-database.ts";
import { runPool } from "../fixtures/running-pool.ts";
import { numbers } from "../fixtures/telemetry.ts";
import { maintenance, ticks } from "./maintained-table.ts";

const DAY_MS = 86_400_000;
const MIDNIGHTS = 5;
const PAYLOADS_PER_MIDNIGHT = 4_000;
const RECORDS_PER_PAYLOAD = 10;

it("crossing midnight under load, with partitions made and dropped, lands every row once and prints its longest pause", async () => {
  const database = await emptyDatabase();
  const table = ticks({ retain: "30 days" });
  const { append, drained, pool, buffer } = await runPool(
    { url: database.url },
    { schema: [table], workers: 2, batchRows: 500 },
  );
  const { maintain } = await maintenance(database.url, table);
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  // What each night's retention drops.
  for (const day of numbers(MIDNIGHTS + 2, -30)) {
    await maintain(new Date(today + day * DAY_MS).toISOString());
  }
  let partitionsDropped = 0;
  let landed = 0;
  let landedAt = performance.now();
  let longestPauseMs = 0;
  const watch = setInterval(() => {
    const now = performance.now();
    const { records } = pool.status();
    // Idle is no pause.
    if (records === landed && buffer.status().rows > 0) {
      longestPauseMs = Math.max(longestPauseMs, now - landedAt);
    } else {
      landedAt = now;
    }
    landed = records;
  }, 5);
  const from = performance.now();
  for (const night of numbers(MIDNIGHTS)) {
    const midnight = today + (night + 1) * DAY_MS;
    const looking = (async () => {
      for (const seconds of [-2, -1, 0, 1, 2]) {
        const moment = new Date(midnight + seconds * 1_000).toISOString();
        const { counts } = await maintain(moment);
        expect(counts.maintenanceFailures).toBe(0);
        partitionsDropped += counts.partitionsDropped;
        await delay(50);
      }
    })();
    for (const step of numbers(PAYLOADS_PER_MIDNIGHT / 200)) {
      await append(
        ...numbers(200).map((payload) =>
          numbers(RECORDS_PER_PAYLOAD).map((record) => {
            const first = night * PAYLOADS_PER_MIDNIGHT + step * 200 + payload;
            const number = first * RECORDS_PER_PAYLOAD + record;
            return { t: "tick", timestamp: midnight / 1_000 + (number % 20) - 10, number };
          }),
        ),
      );
    }
    await looking;
  }
  await drained(60_000);
  const seconds = (performance.now() - from) / 1_000;
  clearInterval(watch);
  const total = MIDNIGHTS * PAYLOADS_PER_MIDNIGHT * RECORDS_PER_PAYLOAD;
  console.log({ recordsPerSecond: Math.round(total / seconds), longestPauseMs });
  expect(await deadLetters(database)).toEqual([]);
  expect(partitionsDropped).toBeGreaterThanOrEqual(MIDNIGHTS);
  const [rows] = await database.query(
    "SELECT count(*)::int AS rows, count(DISTINCT number)::int AS distinct FROM ticks",
  );
  expect(rows).toEqual({ rows: total, distinct: total });
  expect(pool.status()).toMatchObject({ records: total, deadLetters: 0, workerDeaths: 0 });
});
