import type { Client } from "pg";
import type { TimeRange } from "./partition-calendar.ts";
import { type PartitionedParent, qualify } from "./partition-catalog.ts";
import { quoteIdentifier } from "../schema/identifier.ts";

/** Rows that one statement deletes. */
export const EXPIRED_AT_ONCE = 5_000;

/**
 * Drops a partition, in a transaction that does nothing else: all of the table waits meanwhile, but
 * the files go after the lock.
 *
 * @returns false when it is not a partition of the table any more.
 */
export async function dropPartition(
  client: Client,
  parent: PartitionedParent,
  partition: string,
): Promise<boolean> {
  const name = qualify(parent.schema, partition);
  // Not DETACH ... CONCURRENTLY: PostgreSQL does not allow it beside a default partition.
  await client.query(`LOCK TABLE ONLY ${parent.name} IN ACCESS EXCLUSIVE MODE`);
  const { rowCount } = await client.query(
    "SELECT FROM pg_inherits WHERE inhrelid = to_regclass($1) AND inhparent = to_regclass($2)",
    [name, parent.name],
  );
  if (rowCount !== 1) return false;
  await client.query(`DROP TABLE ${name}`);
  return true;
}

/** Deletes up to {@link EXPIRED_AT_ONCE} rows of the default partition that arrived before `moment`. */
export async function expireDefaultRows(
  client: Client,
  defaultPartition: string,
  moment: Date,
): Promise<number> {
  const { rowCount } = await client.query(
    `DELETE FROM ONLY ${defaultPartition}
     WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM ONLY ${defaultPartition} WHERE received_at < $1 LIMIT ${EXPIRED_AT_ONCE}
     ))`,
    [moment.toISOString()],
  );
  return rowCount ?? 0;
}

/** Starts of the intervals in `range` of which the default partition holds rows. */
export async function readLateMoments(
  client: Client,
  { table, defaultPartition }: PartitionedParent,
  range: TimeRange,
): Promise<Date[]> {
  if (defaultPartition === undefined) return [];
  const { column, interval } = table.partitionBy;
  const { rows } = await client.query<{ moment: Date }>(
    `SELECT DISTINCT date_trunc('${interval}', ${quoteIdentifier(column)}, 'UTC') AS moment
     FROM ONLY ${defaultPartition}
     WHERE ${quoteIdentifier(column)} >= $1 AND ${quoteIdentifier(column)} < $2`,
    [range.from.toISOString(), range.to.toISOString()],
  );
  return rows.map(({ moment }) => moment);
}
