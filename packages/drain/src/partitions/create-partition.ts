import { sleep } from "@millrace/core/thread";
import type { Client } from "pg";
import { quoteIdentifier } from "../schema/identifier.ts";
import { defaultPartitionName } from "../schema/partition-by.ts";
import { isBusy } from "./maintenance-transaction.ts";
import type { TimeRange } from "./partition-calendar.ts";
import { type PartitionedParent, qualify } from "./partition-catalog.ts";
import type { NewPartition } from "./partition-plan.ts";

/** Rows that one transaction moves at most: it lasts seconds with these. */
export const MAX_MOVED_ROWS = 250_000;
/** Rows that one statement moves. */
const MOVED_AT_ONCE = 20_000;
/** Tries to get the table alone once rows have been moved, and the time that others have between. */
const LOCK_TRIES = 4;
const LOCK_PAUSE_MS = 200;

export type CreateOutcome =
  | { kind: "created"; movedRows: number }
  /** Another agent was faster, or a table that is no partition has the name. */
  | { kind: "present" | "name taken" }
  /** The default partition holds more rows of the range than one transaction should move. */
  | { kind: "too many rows" };

/**
 * Makes a partition and moves its rows there that lie in the default partition, all in the
 * transaction that the caller has begun.
 *
 * The partition is made apart and then attached, since attaching lets COPY into the parent go on
 * where `CREATE TABLE ... PARTITION OF` shuts it out.
 */
export async function createPartition(
  client: Client,
  parent: PartitionedParent,
  partition: NewPartition,
  onProgress: () => void,
): Promise<CreateOutcome> {
  const name = qualify(parent.schema, partition.name);
  const presence = await claimName(client, parent, name);
  if (presence !== undefined) return { kind: presence };
  const { defaultPartition } = parent;
  let movedRows = 0;
  if (defaultPartition === undefined) {
    await client.query(createLike(parent, name));
  } else {
    const where = rangeCondition(parent, partition);
    const rows = await countRows(client, defaultPartition, where);
    if (rows > MAX_MOVED_ROWS) return { kind: "too many rows" };
    await client.query(createLike(parent, name));
    if (rows > 0 || !(await holdsNone(client, defaultPartition, where))) {
      const move = await moveStatement(client, parent, defaultPartition, name, where);
      movedRows = await moveAll(client, parent, move, onProgress);
    }
  }
  await client.query(attachStatement(parent.name, name, partition));
  return { kind: "created", movedRows };
}

/** Shuts everybody out of the default partition if it holds no rows of the range, as is usual. */
async function holdsNone(client: Client, partition: string, where: string): Promise<boolean> {
  await client.query("SAVEPOINT empty");
  await client.query(`LOCK TABLE ONLY ${partition} IN ACCESS EXCLUSIVE MODE`);
  if ((await countRows(client, partition, where)) === 0) return true;
  await client.query("ROLLBACK TO SAVEPOINT empty");
  return false;
}

/**
 * Moves rows with nobody shut out, and at the end, with everybody out of the table, the few that
 * have landed since.
 *
 * To lock the default partition would be enough for those who write. But a query that waits for it
 * has chosen its partitions already, and would miss the rows where they are now.
 */
async function moveAll(
  client: Client,
  parent: PartitionedParent,
  move: string,
  onProgress: () => void,
): Promise<number> {
  const movedRows = await moveRows(client, move, onProgress);
  await lockAlone(client, parent.name);
  return movedRows + (await moveRows(client, move, onProgress));
}

/** Makes the default partition again. */
export async function createDefaultPartition(
  client: Client,
  parent: PartitionedParent,
): Promise<CreateOutcome> {
  const name = qualify(parent.schema, defaultPartitionName(parent.table.name));
  const presence = await claimName(client, parent, name);
  if (presence !== undefined) return { kind: presence };
  await client.query(createLike(parent, name));
  await client.query(`ALTER TABLE ${parent.name} ATTACH PARTITION ${name} DEFAULT`);
  return { kind: "created", movedRows: 0 };
}

/** Keeps the parent's columns and partitions as they are until the transaction ends; not its rows. */
async function claimName(
  client: Client,
  parent: PartitionedParent,
  name: string,
): Promise<"present" | "name taken" | undefined> {
  await client.query(`LOCK TABLE ONLY ${parent.name} IN SHARE UPDATE EXCLUSIVE MODE`);
  const { rows } = await client.query<{ isTaken: boolean; isPartition: boolean }>(
    `SELECT to_regclass($1) IS NOT NULL AS "isTaken",
       EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass($1)
         AND inhparent = to_regclass($2)) AS "isPartition"`,
    [name, parent.name],
  );
  if (rows[0]?.isPartition === true) return "present";
  return rows[0]?.isTaken === true ? "name taken" : undefined;
}

/** An identity column gets its sequence from the parent. */
function createLike(parent: PartitionedParent, name: string): string {
  return `CREATE TABLE ${name} (LIKE ${parent.name} INCLUDING ALL EXCLUDING IDENTITY)`;
}

function attachStatement(parent: string, name: string, { from, to }: TimeRange): string {
  return `ALTER TABLE ${parent} ATTACH PARTITION ${name} FOR VALUES FROM ('${from.toISOString()}') TO ('${to.toISOString()}')`;
}

function rangeCondition({ table }: PartitionedParent, { from, to }: TimeRange): string {
  const column = quoteIdentifier(table.partitionBy.column);
  return `${column} >= '${from.toISOString()}' AND ${column} < '${to.toISOString()}'`;
}

/** Counts no further than is of interest. */
async function countRows(client: Client, partition: string, where: string): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `SELECT count(*)::int AS count
     FROM (SELECT FROM ONLY ${partition} WHERE ${where} LIMIT ${MAX_MOVED_ROWS + 1}) AS matching`,
  );
  return rows[0]?.count ?? 0;
}

/** Moves up to {@link MOVED_AT_ONCE} rows of the default partition. */
async function moveStatement(
  client: Client,
  parent: PartitionedParent,
  from: string,
  to: string,
  where: string,
): Promise<string> {
  const { rows } = await client.query<{ columns: string }>(
    `SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns
     FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`,
    [parent.name],
  );
  const columns = rows[0]?.columns ?? "";
  return `WITH moved AS (
      DELETE FROM ONLY ${from}
      WHERE ctid = ANY (ARRAY(SELECT ctid FROM ONLY ${from} WHERE ${where} LIMIT ${MOVED_AT_ONCE}))
      RETURNING ${columns}
    )
    INSERT INTO ${to} (${columns}) SELECT ${columns} FROM moved`;
}

async function moveRows(client: Client, move: string, onProgress: () => void): Promise<number> {
  let movedRows = 0;
  for (;;) {
    const { rowCount } = await client.query(move);
    onProgress();
    if (rowCount === null || rowCount === 0) return movedRows;
    movedRows += rowCount;
  }
}

/** To give the moved rows up for one missed lock would be a waste. */
async function lockAlone(client: Client, table: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    await client.query("SAVEPOINT moved");
    try {
      await client.query(`LOCK TABLE ONLY ${table} IN ACCESS EXCLUSIVE MODE`);
      return;
    } catch (error) {
      if (tries === LOCK_TRIES || !isBusy(error)) throw error;
      await client.query("ROLLBACK TO SAVEPOINT moved");
      await sleep(LOCK_PAUSE_MS);
    }
  }
}
