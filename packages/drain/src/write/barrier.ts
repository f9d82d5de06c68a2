import type { Client, QueryResult } from "pg";
import { LEDGER_TABLE } from "../schema/bookkeeping.ts";

/**
 * Makes sure that batches whose commits did not wait for the disk are on it, on synchronous
 * standbys too.
 *
 * One transaction looks the batches up in the ledger and then commits with a write of its own,
 * waiting for the disk: whatever it saw was committed before it, so is flushed with it. A server
 * that crashed or failed over in between has lost its last commits; their batches are then not seen.
 *
 * @returns ids of the batches that are there for good; the others must land again.
 */
export async function passBarrier(
  client: Client,
  batchIds: readonly string[],
): Promise<Set<string>> {
  const list = batchIds.map((batchId) => `'${batchId}'`).join(", ");
  // The message is the write: a transaction that wrote nothing would not flush.
  const results = (await client.query(
    `BEGIN ISOLATION LEVEL READ COMMITTED;
     SET LOCAL synchronous_commit = on;
     SELECT batch_id FROM ${LEDGER_TABLE} WHERE batch_id IN (${list});
     SELECT pg_logical_emit_message(true, 'millrace', 'barrier');
     COMMIT`,
  )) as unknown as Array<QueryResult<{ batch_id: string }>>;
  if (results.at(-1)?.command !== "COMMIT") throw new Error("the barrier was not committed");
  return new Set(results[2]?.rows.map(({ batch_id }) => batch_id));
}
