import { nightwatch } from "@millrace/drain/nightwatch";
import { queryOnce } from "../setup/query-once.ts";

/** Which marks of a run are in PostgreSQL, and how often. */
export async function readMarks(databaseUrl: string, run: string): Promise<Map<string, number>> {
  const tables = nightwatch().tables.filter(({ columns }) => columns["deploy"] !== undefined);
  const union = tables.map(({ name }) => `SELECT deploy FROM ${name}`).join(" UNION ALL ");
  const rows = await queryOnce<{ deploy: string; times: string }>(
    databaseUrl,
    `SELECT deploy, count(*) AS times FROM (${union}) AS landed
     WHERE deploy LIKE $1 GROUP BY deploy`,
    [`${run}-%`],
  );
  return new Map(rows.map(({ deploy, times }) => [deploy, Number(times)]));
}

/** What is wrong with what landed; all three are empty when each record landed exactly once. */
export interface Faults {
  lost: string[];
  doubled: string[];
  /** Landed although nobody sent them in this run, or their payload was refused. */
  unexpected: string[];
}

export function findFaults(
  marks: ReadonlyMap<string, number>,
  sent: { acknowledged: readonly string[]; unknown: readonly string[] },
): Faults {
  const possible = new Set([...sent.acknowledged, ...sent.unknown]);
  return {
    lost: sent.acknowledged.filter((mark) => !marks.has(mark)),
    doubled: [...marks].filter(([, times]) => times > 1).map(([mark]) => mark),
    unexpected: [...marks.keys()].filter((mark) => !possible.has(mark)),
  };
}

export const NO_FAULTS: Faults = { lost: [], doubled: [], unexpected: [] };
