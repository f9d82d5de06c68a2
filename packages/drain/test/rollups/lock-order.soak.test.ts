import { createRandom } from "@millrace/load";
import { Client } from "pg";
import { expect, it } from "vitest";
import { compileRouter } from "../../src/encode/router.ts";
import { nightwatch } from "../../src/nightwatch/index.ts";
import { tableStatements } from "../../src/schema/ddl.ts";
import { compileUpserts } from "../../src/upsert/compiled-upserts.ts";
import { emptyDatabase } from "../fixtures/empty-database.ts";
import { numbers } from "../fixtures/telemetry.ts";

const CONNECTIONS = 4;
const TRANSACTIONS = 120;
const RECORDS = 40;
const SEED = 20_261_123;

it(`480 transactions of four connections on the same rows, each in its own order of keys and tables, never deadlock and add up (seed ${SEED})`, async () => {
  const { url, query } = await emptyDatabase();
  const schema = nightwatch();
  for (const statement of tableStatements(schema)) await query(statement);
  const receivedAt = Date.now();
  const expected = { occurrences: 0, durations: 0 };

  const drain = async (connection: number) => {
    const random = createRandom(SEED + connection);
    const router = compileRouter(schema);
    const upserts = compileUpserts(schema);
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      for (const _ of numbers(TRANSACTIONS)) {
        const groups = upserts.createGroups();
        for (let made = 0; made < RECORDS; made++) {
          const t = ["exception", "job-attempt", "query", "request"][Math.floor(random() * 4)];
          const duration = Math.floor(random() * 1e6);
          const record = {
            t,
            timestamp: receivedAt / 1_000 - random() * 600,
            _group: `group-${Math.floor(random() * 8)}`,
            user: `user-${Math.floor(random() * 5)}`,
            ...(t !== "exception" && { duration }),
          };
          const meta = { receivedAt, token: random() < 0.5 ? "web" : "app" };
          router.route(record).encode(record, meta);
          upserts.collect(groups, record, meta);
          expected.occurrences++;
          if (t !== "exception") expected.durations += duration;
        }
        await client.query("BEGIN; SET LOCAL lock_timeout = '10s'");
        for (const statement of upserts.statements(groups)) await client.query(statement);
        await client.query("COMMIT");
      }
    } finally {
      await client.end();
    }
  };
  await Promise.all(numbers(CONNECTIONS).map(drain));

  for (const interval of [60, 3_600]) {
    const [sums] = await query(
      `SELECT sum(occurrences)::int AS occurrences, sum(durations)::float AS durations, sum(sketched)::int AS sketched FROM (
         SELECT occurrences, interval_seconds, 0 AS durations, occurrences AS sketched FROM nightwatch_exception_rollups
         ${["request", "query", "job"]
           .map(
             (name) =>
               `UNION ALL SELECT occurrences, interval_seconds, duration_us_sum, (SELECT sum(n) FROM unnest(sketch) AS n) FROM nightwatch_${name}_rollups`,
           )
           .join("\n")}
       ) AS rollups WHERE interval_seconds = ${interval}`,
    );
    expect(sums).toEqual({ ...expected, sketched: expected.occurrences });
  }
  const [{ deadlocks } = { deadlocks: -1 }] = await query<{ deadlocks: number }>(
    "SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()",
  );
  expect(deadlocks).toBe(0);
});
