import { Client } from "pg";
import { markedRowsSql } from "../postgres/landed-rows.ts";

/**
 * From a payload's arrival to the commit of its row, by PostgreSQL's own record of commit times
 * (`track_commit_timestamp`); exact to the millisecond of `received_at`.
 */
export async function measureLandingDelay(
  url: string,
  run: string,
): Promise<{ p50Ms: number; p99Ms: number }> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const marked = markedRowsSql("deploy, pg_xact_commit_timestamp(xmin) - received_at AS delay");
  const { rows } = await client.query<{ percentiles: number[] }>(
    `SELECT percentile_cont(ARRAY[0.5, 0.99])
       WITHIN GROUP (ORDER BY extract(epoch FROM delay)::float8 * 1000) AS percentiles
     FROM (${marked}) AS landed WHERE deploy LIKE $1`,
    [`${run}-%`],
  );
  await client.end();
  const [p50Ms = Number.NaN, p99Ms = Number.NaN] = rows[0]?.percentiles ?? [];
  return { p50Ms, p99Ms };
}
