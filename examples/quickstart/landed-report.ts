import { nightwatch } from "@millrace/drain/nightwatch";
import type { Client } from "pg";

/** What a run's records came to in PostgreSQL. */
export interface Verdict {
  /** Acknowledged but not there. */
  lost: number;
  /** There more than once. */
  doubled: number;
  /** There and acknowledged, or there although their acknowledgement never arrived. */
  landed: number;
}

/** Tables whose rows carry the mark of a run in `deploy`. */
function markedTables(): string[] {
  return nightwatch()
    .tables.filter(({ columns }) => columns["deploy"] !== undefined)
    .map(({ name }) => name);
}

/** Rows of a run by table, the fullest first. */
export async function countByTable(
  client: Client,
  run: string,
): Promise<Array<{ table: string; rows: number }>> {
  const counts = [];
  for (const table of markedTables()) {
    const { rows } = await client.query<{ count: string }>(
      `SELECT count(*) FROM ${table} WHERE deploy LIKE $1`,
      [`${run}-%`],
    );
    counts.push({ table, rows: Number(rows[0]?.count ?? 0) });
  }
  return counts.toSorted((a, b) => b.rows - a.rows);
}

/** Compares what was acknowledged with what is there, mark by mark. */
export async function judge(
  client: Client,
  run: string,
  acknowledgedMarks: readonly string[],
): Promise<Verdict> {
  const seen = new Map<string, number>();
  for (const table of markedTables()) {
    const { rows } = await client.query<{ deploy: string }>(
      `SELECT deploy FROM ${table} WHERE deploy LIKE $1`,
      [`${run}-%`],
    );
    for (const { deploy } of rows) seen.set(deploy, (seen.get(deploy) ?? 0) + 1);
  }
  return {
    lost: acknowledgedMarks.filter((mark) => !seen.has(mark)).length,
    doubled: [...seen.values()].filter((times) => times > 1).length,
    landed: seen.size,
  };
}

/** A few of the newest rows, to look at. */
export async function readNewest(client: Client, run: string): Promise<object[]> {
  const { rows } = await client.query<object>(
    `SELECT to_char(occurred_at AT TIME ZONE 'UTC', 'HH24:MI:SS.US') AS occurred_at,
       method, route_path, status_code, duration_us / 1000.0 AS duration_ms
     FROM nightwatch_requests WHERE deploy LIKE $1
     ORDER BY nightwatch_requests.occurred_at DESC LIMIT 5`,
    [`${run}-%`],
  );
  return rows.map((row) => ({ ...row, duration_ms: Number(Reflect.get(row, "duration_ms")) }));
}
