import fc from "fast-check";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../../test/setup/database.ts";
import { SKETCH_FUNCTION_STATEMENTS } from "../../src/rollups/sketch-functions.ts";
import { SKETCH_ERROR } from "../../src/rollups/sketch.ts";
import { exactPercentile, sketchOf } from "./reference-sketch.ts";

const FRACTIONS = [0, 0.01, 0.5, 0.9, 0.95, 0.99, 1];
const duration = fc.oneof(
  fc.constantFrom(-3, 0, 1, 2),
  fc.integer({ min: 1, max: 5_000_000 }),
  fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
);
const durations = fc.array(duration, { maxLength: 80 });

let database: TestDatabase;
let client: Client;

beforeAll(async () => {
  database = await createTestDatabase();
  client = new Client({ connectionString: database.url });
  await client.connect();
  // Twice: they may be made again.
  for (const statement of [...SKETCH_FUNCTION_STATEMENTS, ...SKETCH_FUNCTION_STATEMENTS]) {
    await client.query(statement);
  }
});

afterAll(async () => {
  await client?.end();
  await database?.drop();
});

async function valueOf<Value>(sql: string, values: unknown[]): Promise<Value | undefined> {
  const { rows } = await client.query<{ value: Value }>(`SELECT ${sql} AS value`, values);
  return rows[0]?.value;
}

test("merging in SQL gives the sketch that JavaScript makes of all values, in any order and grouping", async () => {
  await fc.assert(
    fc.asyncProperty(durations, durations, durations, async (a, b, c) => {
      const { rows } = await client.query<{ merged: string | null; how: string }>(
        `WITH s AS (SELECT $1::bigint[] AS a, $2::bigint[] AS b, $3::bigint[] AS c)
         SELECT 'left' AS how, millrace_sketch_merge(millrace_sketch_merge(a, b), c)::text AS merged FROM s
         UNION ALL SELECT 'right', millrace_sketch_merge(a, millrace_sketch_merge(b, c))::text FROM s
         UNION ALL SELECT 'turned', millrace_sketch_merge(millrace_sketch_merge(c, b), a)::text FROM s
         UNION ALL SELECT 'summed', (
           SELECT millrace_sketch_sum(one)::text FROM (SELECT b UNION ALL SELECT a UNION ALL SELECT c) AS u (one)
         ) FROM s`,
        [sketchOf(a), sketchOf(b), sketchOf(c)],
      );
      const expected = sketchOf([...a, ...b, ...c]);
      for (const { how, merged } of rows) {
        // PostgreSQL leaves the bounds away when they start at 1.
        expect({ how, merged }).toEqual({
          how,
          merged: expected?.replace(/^\[1:\d+\]=/, "") ?? null,
        });
      }
    }),
    { numRuns: 150 },
  );
});

test("a percentile is within 2 % of the exact one", async () => {
  const filled = fc.array(duration, { minLength: 1, maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(filled, async (values) => {
      const estimates = await valueOf<number[]>(
        "ARRAY(SELECT millrace_percentile($1::bigint[], f) FROM unnest($2::double precision[]) AS f)",
        [sketchOf(values), FRACTIONS],
      );
      for (const [index, fraction] of FRACTIONS.entries()) {
        const exact = Math.max(0, exactPercentile(values, fraction));
        const estimate = estimates?.[index] ?? Number.NaN;
        expect(Math.abs(estimate - exact)).toBeLessThanOrEqual(exact * (SKETCH_ERROR + 1e-9));
      }
    }),
    { numRuns: 150 },
  );
});

test("there is no percentile of nothing, nor of a fraction outside 0 to 1", async () => {
  const percentile = (sketch: string | null, fraction: number | null) =>
    valueOf("millrace_percentile($1::bigint[], $2::double precision)", [sketch, fraction]);
  expect(await percentile(null, 0.5)).toBeNull();
  expect(await percentile(sketchOf([5]), 1.5)).toBeNull();
  expect(await percentile(sketchOf([5]), -0.1)).toBeNull();
  expect(await percentile(sketchOf([5]), null)).toBeNull();
  expect(
    await valueOf("(SELECT millrace_sketch_sum(s) FROM (SELECT NULL::bigint[]) AS u (s))", []),
  ).toBeNull();
});

test("nobody's search_path changes what the functions do", async () => {
  const sketch = sketchOf([10, 20, 30]);
  const call = "millrace_percentile(public.millrace_sketch_merge($1::bigint[], $1::bigint[]), 0.5)";
  const before = await valueOf<number>(call, [sketch]);
  await client.query("CREATE SCHEMA hostile");
  await client.query(
    "CREATE FUNCTION hostile.array_lower(bigint[], integer) RETURNS integer LANGUAGE sql RETURN 700",
  );
  await client.query(
    "CREATE FUNCTION hostile.cardinality(bigint[]) RETURNS integer LANGUAGE sql RETURN NULL::integer",
  );
  await client.query("SET search_path = hostile, public, pg_catalog");
  try {
    expect(await valueOf("array_lower($1::bigint[], 1)", [sketch])).toBe(700);
    expect(await valueOf(call, [sketch])).toBe(before);
  } finally {
    await client.query("RESET search_path");
  }
});
