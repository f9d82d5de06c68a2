import { expect, it } from "vitest";
import { countRequests, emptyDatabase } from "./fixtures/empty-database.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { numbers, request } from "./fixtures/telemetry.ts";

it("two pools that merge into the same rows of one database add up exactly, without a deadlock", async () => {
  const database = await emptyDatabase();
  const options = { workers: 2, batchRows: 25 };
  const pools = [
    await runPool({ url: database.url }, options),
    await runPool({ url: database.url }, options),
  ];
  const perPool = 1_500;
  await Promise.all(
    pools.map(async ({ append }, pool) => {
      for (const round of numbers(perPool / 100)) {
        const indexes = numbers(100, pool * perPool + round * 100);
        // Backwards in one of them: the order that rows come in must not be the order of locks.
        const ordered = pool === 0 ? indexes : indexes.toReversed();
        await append(
          ...ordered.map((index) => [
            request(index),
            {
              t: "user",
              timestamp: 1_767_225_600 + index,
              id: `user-${index % 7}`,
              name: `n${index}`,
            },
            {
              t: "exception",
              timestamp: 1_767_225_600 + index,
              _group: `g${index % 3}`,
              handled: index % 2 === 0,
            },
          ]),
        );
      }
    }),
  );
  await Promise.all(pools.map(({ drained }) => drained()));

  const total = 2 * perPool;
  expect(await countRequests(database)).toEqual({ rows: total, distinct: total, counted: total });
  const [sums] = await database.query(
    `SELECT (SELECT sum(occurrences)::int FROM nightwatch_issues) AS occurrences,
       (SELECT sum(handled_count)::int FROM nightwatch_issues) AS handled,
       (SELECT sum(sightings)::int FROM nightwatch_users) AS sightings,
       (SELECT name FROM nightwatch_users ORDER BY last_seen_at DESC LIMIT 1) AS latest`,
  );
  expect(sums).toEqual({
    occurrences: total,
    handled: total / 2,
    sightings: total,
    latest: `n${total - 1}`,
  });
  const [{ deadlocks } = { deadlocks: -1 }] = await database.query<{ deadlocks: number }>(
    "SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()",
  );
  expect(deadlocks).toBe(0);
  for (const { pool } of pools)
    expect(pool.status()).toMatchObject({ workerDeaths: 0, retriesByReason: {} });
});
