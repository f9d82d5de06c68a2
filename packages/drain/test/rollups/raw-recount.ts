import { expect } from "vitest";
import { SKETCH_ERROR } from "../../src/rollups/sketch.ts";
import type { EmptyDatabase } from "../fixtures/empty-database.ts";

/** A rollup, the table of the same records, and what of that table says that a record is an error. */
export interface Recount {
  rollup: string;
  table: string;
  isError?: string;
  hasDuration?: boolean;
}

export const RECOUNTS: readonly Recount[] = [
  {
    rollup: "nightwatch_request_rollups",
    table: "nightwatch_requests",
    isError: "status_code >= 500",
    hasDuration: true,
  },
  { rollup: "nightwatch_query_rollups", table: "nightwatch_queries", hasDuration: true },
  {
    rollup: "nightwatch_job_rollups",
    table: "nightwatch_job_attempts",
    isError: "status = 'failed'",
    hasDuration: true,
  },
  {
    rollup: "nightwatch_exception_rollups",
    table: "nightwatch_exceptions",
    isError: "NOT handled",
  },
];

const FRACTIONS = "ARRAY[0, 0.5, 0.95, 0.99, 1]::double precision[]";

type Row = Record<string, unknown> & { percentiles?: Array<number | null> | null };

/**
 * Expects every row of a rollup to say what its table's rows say: all numbers exactly, percentiles
 * within the sketch's error.
 *
 * @returns how many rows the rollup has.
 */
export async function expectRecounted(
  { query }: Pick<EmptyDatabase, "query">,
  { rollup, table, isError, hasDuration = false }: Recount,
): Promise<number> {
  const errors = isError === undefined ? "" : ", errors::text";
  const rolledUp = await query<Row>(
    `SELECT interval_seconds, bucket, token, group_hash, last_seen_at, occurrences::text ${errors}
       ${hasDuration ? `, duration_count::text, duration_us_sum::text, duration_us_min, duration_us_max, ARRAY(SELECT millrace_percentile(sketch, f) FROM unnest(${FRACTIONS}) AS f) AS percentiles` : ""}
     FROM ${rollup} ORDER BY interval_seconds, bucket, token COLLATE "C", group_hash COLLATE "C"`,
  );
  const recounted = await query<Row>(
    `SELECT seconds AS interval_seconds,
       date_bin(make_interval(secs => seconds), occurred_at, '1970-01-01 00:00:00+00') AS bucket,
       token, coalesce(group_hash, '') AS group_hash, max(occurred_at) AS last_seen_at,
       count(*)::text AS occurrences
       ${isError === undefined ? "" : `, (count(*) FILTER (WHERE ${isError}))::text AS errors`}
       ${hasDuration ? `, count(duration_us)::text AS duration_count, coalesce(sum(duration_us), 0)::text AS duration_us_sum, min(duration_us) AS duration_us_min, max(duration_us) AS duration_us_max, percentile_disc(${FRACTIONS}) WITHIN GROUP (ORDER BY duration_us)::double precision[] AS percentiles` : ""}
     FROM ${table}, unnest(ARRAY[60, 3600]) AS seconds
     GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, token COLLATE "C", coalesce(group_hash, '') COLLATE "C"`,
  );
  const exactly = (row: Row) => ({ ...row, percentiles: undefined });
  expect(rolledUp.map(exactly)).toEqual(recounted.map(exactly));
  for (const [index, { percentiles: exact }] of recounted.entries()) {
    const estimates = rolledUp[index]?.percentiles ?? [];
    for (const [place, value] of (exact ?? []).entries()) {
      const estimate = estimates[place] ?? Number.NaN;
      if (value === null) continue;
      expect(Math.abs(estimate - value)).toBeLessThanOrEqual(value * (SKETCH_ERROR + 1e-9));
    }
  }
  return rolledUp.length;
}
