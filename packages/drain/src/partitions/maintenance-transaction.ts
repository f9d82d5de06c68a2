import { createHash } from "node:crypto";
import type { Client, QueryResult } from "pg";
import { commitBatch } from "../write/ledger.ts";
import { sqlStateOf } from "../write/sqlstate.ts";

/** First half of the advisory locks: "mill" as a number. */
const LOCK_SPACE = 0x6d_69_6c_6c;
/**
 * Whoever waits for a table makes every COPY behind it wait as well. Far less than
 * `deadlock_timeout`, so that it is always maintenance that gives way and never a batch.
 */
const LOCK_TIMEOUT_MS = 100;
/** 55P03 lock not available, 40P01 deadlock, 40001 serialization failure. */
const BUSY = new Set(["55P03", "40P01", "40001"]);

/** The connection cannot be used any more. */
export class ConnectionLost extends Error {}

/**
 * Runs one short transaction on the partitions of `table`, unless another agent is at it: a lock of
 * the transaction, so that a pooler in transaction mode is fine.
 *
 * @returns `"busy"` when that lock or one that `work` asked for was not to be had.
 * @throws {@link ConnectionLost}, or the server's error.
 */
export async function inMaintenanceTransaction<Result>(
  client: Client,
  table: string,
  work: () => Promise<Result>,
): Promise<Result | "busy"> {
  try {
    // What a partition is made of survives a crash of the server before any row in it does: the log
    // is written in order. So no need to wait for the disk.
    const results = (await client.query(
      `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
       SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS};
       SET LOCAL statement_timeout = '30s';
       SET LOCAL idle_in_transaction_session_timeout = '60s';
       SET LOCAL synchronous_commit = off;
       SET LOCAL client_min_messages = warning;
       SET LOCAL datestyle = 'ISO, YMD';
       SET LOCAL timezone = 'UTC';
       SELECT pg_try_advisory_xact_lock(${LOCK_SPACE}, ${lockKey(table)}) AS "isMine"`,
    )) as unknown as Array<QueryResult<{ isMine: boolean }>>;
    if (results.at(-1)?.rows[0]?.isMine !== true) {
      await client.query("ROLLBACK");
      return "busy";
    }
    const result = await work();
    await commitBatch(client);
    return result;
  } catch (error) {
    if (sqlStateOf(error) === undefined) throw new ConnectionLost("lost", { cause: error });
    try {
      await client.query("ROLLBACK");
    } catch {
      throw new ConnectionLost("lost", { cause: error });
    }
    if (isBusy(error)) return "busy";
    throw error;
  }
}

/** Whether an error says that a lock could not be had. */
export function isBusy(error: unknown): boolean {
  return BUSY.has(sqlStateOf(error) ?? "");
}

function lockKey(table: string): number {
  return createHash("sha256").update(table).digest().readInt32BE(0);
}
