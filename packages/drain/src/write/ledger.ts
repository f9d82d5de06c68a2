import type { ClaimedBatch } from "@millrace/core/buffer";
import type { Client, QueryResult } from "pg";
import { LEDGER_TABLE } from "../schema/bookkeeping.ts";

/** How long the ledger remembers a batch that has left the buffer; long enough for an audit of a day. */
const LEDGER_RETENTION = "24 hours";

export interface BeginOptions {
  bufferId: string;
  /** How long the server may take for one statement, in milliseconds. */
  statementTimeoutMs: number;
  /** How long one statement may wait for a lock, in milliseconds. */
  lockTimeoutMs: number;
  synchronousCommit: "on" | "off";
}

/**
 * Opens a batch's transaction and enters the batch in the ledger.
 *
 * The entry comes first, not last: an earlier try of the same batch whose outcome nobody knows is
 * then found by the unique key, also when its transaction is still open and about to commit.
 *
 * Locks and statements are bounded on the server too, and it looks whether its client is there: a
 * transaction that was cut off must not hold the entry, and so its batch, for ever.
 *
 * @returns false when the batch has landed already; the transaction is then over.
 */
export async function beginBatch(
  client: Client,
  { bufferId, statementTimeoutMs, lockTimeoutMs, synchronousCommit }: BeginOptions,
  { batchId, payloads }: ClaimedBatch,
): Promise<boolean> {
  const first = payloads.at(0)?.id ?? 0;
  const last = payloads.at(-1)?.id ?? 0;
  // One round trip; nothing here is a caller's text. SET LOCAL only, so that a pooled connection
  // is handed on as it was.
  const results = (await client.query(
    `BEGIN ISOLATION LEVEL READ COMMITTED;
     SET LOCAL synchronous_commit = ${synchronousCommit};
     SET LOCAL lock_timeout = ${lockTimeoutMs};
     SET LOCAL statement_timeout = ${statementTimeoutMs};
     SET LOCAL tcp_keepalives_idle = 10;
     SET LOCAL tcp_keepalives_interval = 5;
     SET LOCAL idle_in_transaction_session_timeout = '60s';
     INSERT INTO ${LEDGER_TABLE}(batch_id, buffer_id, first_payload_id, last_payload_id, payloads)
     VALUES ('${batchId}', '${bufferId}', ${first}, ${last}, ${payloads.length})
     ON CONFLICT (batch_id) DO NOTHING`,
  )) as unknown as QueryResult[];
  if (results.at(-1)?.rowCount === 1) return true;
  await client.query("ROLLBACK");
  return false;
}

/** Commits, and does not take the server's word for it when the transaction had failed before. */
export async function commitBatch(client: Client): Promise<void> {
  const { command } = await client.query("COMMIT");
  if (command !== "COMMIT") throw new Error(`the server answered COMMIT with ${command}`);
}

/** Drops entries of batches that left the buffer long ago; `openBatchIds` are those still in it. */
export async function pruneLedger(
  client: Client,
  bufferId: string,
  openBatchIds: readonly string[],
): Promise<void> {
  await client.query(
    `DELETE FROM ${LEDGER_TABLE}
     WHERE buffer_id = $1 AND landed_at < now() - interval '${LEDGER_RETENTION}'
       AND batch_id <> ALL ($2::uuid[])`,
    [bufferId, openBatchIds],
  );
}
