import { Client } from "pg";
import { expect, it, onTestFinished } from "vitest";
import { nightwatch } from "../../src/nightwatch/index.ts";
import { pruneRollups } from "../../src/rollups/rollup-retention.ts";
import { tableStatements } from "../../src/schema/ddl.ts";
import { emptyDatabase } from "../fixtures/empty-database.ts";
import { runPool } from "../fixtures/running-pool.ts";

const schema = nightwatch();
const NOW = new Date("2026-11-23T12:00:00Z");

/** Minutes and hours of exceptions, `rows` of each, one per minute and hour back from {@link NOW}. */
function fill(rows: number): string {
  return `INSERT INTO nightwatch_exception_rollups (interval_seconds, bucket, token, group_hash, occurrences)
    SELECT seconds, '${NOW.toISOString()}'::timestamptz - index * make_interval(secs => seconds), 'web', 'g', 1
    FROM generate_series(0, ${rows - 1}) AS index, unnest(ARRAY[60, 3600]) AS seconds`;
}

const COUNT = `SELECT interval_seconds AS seconds, count(*)::int AS rows, min(bucket) AS oldest
  FROM nightwatch_exception_rollups GROUP BY 1 ORDER BY 1`;

async function preparedDatabase() {
  const database = await emptyDatabase();
  for (const statement of tableStatements(schema)) await database.query(statement);
  const client = new Client({ connectionString: database.url });
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  return { ...database, client };
}

it("rows older than the retention of their interval go, a bounded number at a time", async () => {
  const { query, client } = await preparedDatabase();
  await query(fill(30_000));
  const pruned: number[] = [];
  for (let last = -1; last !== 0; pruned.push(last)) {
    last = await pruneRollups(client, schema, NOW);
    expect(last).toBeLessThanOrEqual(20_000);
  }
  expect(pruned.length).toBeGreaterThan(2);
  expect(await query(COUNT)).toEqual([
    { seconds: 60, rows: 7 * 1_440 + 1, oldest: new Date("2026-11-16T12:00:00Z") },
    { seconds: 3_600, rows: 365 * 24 + 1, oldest: new Date("2025-11-23T12:00:00Z") },
  ]);
});

it("a row that somebody has locked is not waited for, and goes the next time", async () => {
  const { query, url, client } = await preparedDatabase();
  await query(fill(12_000));
  const holder = new Client({ connectionString: url });
  await holder.connect();
  onTestFinished(() => holder.end());
  await holder.query("BEGIN");
  await holder.query(
    "SELECT FROM nightwatch_exception_rollups WHERE bucket = '2026-11-15T12:00:00Z' AND interval_seconds = 60 FOR UPDATE",
  );
  await client.query("SET lock_timeout = '1s'");
  await pruneRollups(client, schema, NOW);
  const locked =
    "SELECT count(*)::int AS rows FROM nightwatch_exception_rollups WHERE bucket < '2026-11-16' AND interval_seconds = 60";
  expect(await query(locked)).toEqual([{ rows: 1 }]);
  await holder.query("COMMIT");
  await pruneRollups(client, schema, NOW);
  expect(await query(locked)).toEqual([{ rows: 0 }]);
});

it("a running pool prunes by itself", async () => {
  const { url, query } = await preparedDatabase();
  await query(
    `INSERT INTO nightwatch_exception_rollups (interval_seconds, bucket, token, group_hash, occurrences)
     VALUES (60, now() - interval '8 days', 'web', 'old', 1), (60, now() - interval '6 days', 'web', 'new', 1)`,
  );
  const { append, drained } = await runPool({ url });
  await append([]);
  await drained();
  expect(await query("SELECT group_hash FROM nightwatch_exception_rollups")).toEqual([
    { group_hash: "new" },
  ]);
});
