import type { Client } from "pg";
import type { DrainSchema } from "../schema/drain-schema.ts";
import { quoteIdentifier } from "../schema/identifier.ts";
import { INTERVAL_SECONDS } from "./rollup-interval.ts";
import { retentionCutoff } from "./rollup-window.ts";
import type { RollupDefinition } from "./rollup.ts";

/** Rows that one statement deletes. */
const PRUNED_AT_ONCE = 5_000;
/** Statements for each interval of a rollup in one go. */
const MAX_STATEMENTS = 2;

/** Rows of a rollup that are too old. */
export interface RollupPruning {
  readonly table: string;
  readonly intervalSeconds: number;
  /** Buckets that start before this go. */
  readonly before: Date;
}

/** What retention says should not be there at `now`. */
export function planRollupPruning(
  rollups: readonly RollupDefinition[],
  now: Date,
): RollupPruning[] {
  return rollups.flatMap((rollup) =>
    rollup.intervals.flatMap((interval) => {
      const before = retentionCutoff(rollup, interval, now);
      if (before === undefined) return [];
      return [{ table: rollup.name, intervalSeconds: INTERVAL_SECONDS[interval], before }];
    }),
  );
}

/**
 * Deletes rows of rollups that retention lets go, in short statements and up to 10,000 rows for each
 * interval of a rollup; call it again for more. Rows that somebody has locked stay for the next time, so
 * it waits for no drain.
 *
 * @returns how many rows are gone.
 */
export async function pruneRollups(
  client: Pick<Client, "query">,
  { rollups = [] }: Pick<DrainSchema, "rollups">,
  now: Date,
): Promise<number> {
  let pruned = 0;
  for (const pruning of planRollupPruning(rollups, now)) {
    for (let statement = 0; statement < MAX_STATEMENTS; statement++) {
      const rows = await prune(client, pruning);
      pruned += rows;
      if (rows < PRUNED_AT_ONCE) break;
    }
  }
  return pruned;
}

async function prune(
  client: Pick<Client, "query">,
  { table, intervalSeconds, before }: RollupPruning,
): Promise<number> {
  const name = quoteIdentifier(table);
  const { rowCount } = await client.query(
    `DELETE FROM ${name} WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM ${name} WHERE interval_seconds = $1 AND bucket < $2
       LIMIT ${PRUNED_AT_ONCE} FOR UPDATE SKIP LOCKED
     ))`,
    [intervalSeconds, before.toISOString()],
  );
  return rowCount ?? 0;
}
