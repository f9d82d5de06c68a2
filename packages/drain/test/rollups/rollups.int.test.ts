import { nightwatch } from "@millrace/drain/nightwatch";
import { describe, expect, it } from "vitest";
import { deadLetters, type EmptyDatabase, emptyDatabase } from "../fixtures/empty-database.ts";
import { runPool } from "../fixtures/running-pool.ts";
import { numbers, request } from "../fixtures/telemetry.ts";
import { expectRecounted, RECOUNTS } from "./raw-recount.ts";
import { mixedTelemetry } from "./telemetry.ts";

async function expectAllRecounted(database: EmptyDatabase): Promise<number> {
  let rows = 0;
  for (const recount of RECOUNTS) rows += await expectRecounted(database, recount);
  return rows;
}

function recent(index: number, fields: Record<string, unknown> = {}) {
  return request(index, { timestamp: Date.now() / 1_000 - 60, ...fields });
}

describe("rollups of nightwatch", () => {
  it("say what a recount of the tables says, with two pools of two workers at it", async () => {
    const database = await emptyDatabase();
    const options = { schema: nightwatch(), workers: 2, batchRows: 30 };
    const pools = [
      await runPool({ url: database.url }, options),
      await runPool({ url: database.url }, options),
    ];
    await Promise.all(
      pools.map(async ({ append }, pool) => {
        const telemetry = mixedTelemetry(pool + 1);
        for (const _ of numbers(5)) await append(...numbers(60).map(() => telemetry(8)));
      }),
    );
    await Promise.all(pools.map(({ drained }) => drained()));

    expect(await expectAllRecounted(database)).toBeGreaterThan(1_000);
    const [sums] = await database.query(
      `SELECT sum(occurrences)::int AS occurrences FROM (
         SELECT occurrences, interval_seconds FROM nightwatch_request_rollups
         UNION ALL SELECT occurrences, interval_seconds FROM nightwatch_query_rollups
         UNION ALL SELECT occurrences, interval_seconds FROM nightwatch_job_rollups
         UNION ALL SELECT occurrences, interval_seconds FROM nightwatch_exception_rollups
       ) AS rollups WHERE interval_seconds = 60`,
    );
    expect(sums).toEqual({ occurrences: 2 * 5 * 60 * 8 });
    for (const { pool } of pools) {
      expect(pool.status()).toMatchObject({ workerDeaths: 0, retriesByReason: {} });
    }
  });

  it("do not count dead letters, whether the drain or the server refuses the record", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool(
      { url: database.url },
      { schema: nightwatch(), batchRows: 50 },
    );
    await append([recent(0)]);
    await drained();
    await database.query(
      "ALTER TABLE nightwatch_requests ADD CONSTRAINT no_poison CHECK (url <> 'poison') NOT VALID",
    );
    const telemetry = mixedTelemetry(3);
    await append(
      telemetry(200),
      ...numbers(40).map((index) => [
        recent(index, { url: index % 7 === 3 ? "poison" : "/" }),
        recent(index, { duration: index % 5 === 2 ? "long" : 5 }),
        recent(index, { timestamp: index % 9 === 4 ? null : Date.now() / 1_000 }),
      ]),
    );
    await drained();
    const letters = await deadLetters(database);
    expect(new Set(letters.map(({ code }) => code))).toEqual(
      new Set(["record_invalid", "sqlstate_23514"]),
    );
    expect(pool.status().retriesByReason).toMatchObject({ data: 1 });
    await expectAllRecounted(database);
  });

  it("leave out records of absurd times, which land in their table all the same", async () => {
    const database = await emptyDatabase();
    const { append, drained } = await runPool({ url: database.url });
    const now = Date.now() / 1_000;
    const times = [-62_135_596_800, 0, now - 400 * 86_400, now + 2 * 86_400, 253_402_300_799];
    await append([...times.map((timestamp, index) => recent(index, { timestamp })), recent(9)]);
    await drained();
    const [counts] = await database.query(
      `SELECT (SELECT count(*)::int FROM nightwatch_requests) AS raw,
         (SELECT sum(occurrences)::int FROM nightwatch_request_rollups WHERE interval_seconds = 60) AS minutes,
         (SELECT sum(occurrences)::int FROM nightwatch_request_rollups WHERE interval_seconds = 3600) AS hours`,
    );
    expect(counts).toEqual({ raw: 6, minutes: 1, hours: 1 });
  });

  it("hold the values of the latest record in the bucket, however the batches came", async () => {
    const database = await emptyDatabase();
    const { append, drained } = await runPool({ url: database.url });
    const hour = Math.floor(Date.now() / 3_600_000) * 3_600 - 3_600;
    for (const [offset, path] of [
      [1_000, "/late"],
      [10, "/early"],
    ] as const) {
      await append([recent(0, { timestamp: hour + offset, route_path: path })]);
      await drained();
    }
    const rows = await database.query(
      "SELECT interval_seconds, route_path FROM nightwatch_request_rollups ORDER BY interval_seconds, bucket",
    );
    expect(rows).toEqual([
      { interval_seconds: 60, route_path: "/early" },
      { interval_seconds: 60, route_path: "/late" },
      { interval_seconds: 3_600, route_path: "/late" },
    ]);
  });

  it.each([
    ["a column is dropped", "ALTER TABLE nightwatch_request_rollups DROP COLUMN errors"],
    ["the sketch is dropped", "ALTER TABLE nightwatch_request_rollups DROP COLUMN sketch"],
    ["a label is dropped", "ALTER TABLE nightwatch_request_rollups DROP COLUMN route_path"],
    ["a table is dropped", "DROP TABLE nightwatch_request_rollups"],
    ["the functions are dropped", "DROP FUNCTION millrace_sketch_merge CASCADE"],
  ])("come back when %s, and no record is lost", async (_, damage) => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool({ url: database.url });
    await append([recent(0)]);
    await drained();
    await database.query(damage);
    await append([recent(1)]);
    await drained();
    expect(pool.status().deadLettersByCode).toEqual({});
    expect(pool.status().workerDeaths).toBe(0);
    await append([recent(2, { status_code: 500 })]);
    await drained();
    const [counts] = await database.query(
      `SELECT (SELECT count(*)::int FROM nightwatch_requests) AS raw,
         (SELECT sum(errors)::int FROM nightwatch_request_rollups WHERE interval_seconds = 3600) AS errors,
         (SELECT sum(occurrences)::int > 1 FROM nightwatch_request_rollups WHERE interval_seconds = 3600) AS counted,
         (SELECT millrace_percentile(millrace_sketch_sum(sketch), 1) > 900 FROM nightwatch_request_rollups) AS sketched`,
    );
    expect(counts).toEqual({ raw: 3, errors: 1, counted: true, sketched: true });
  });
});
