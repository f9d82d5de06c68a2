import type { Client } from "pg";
import { DEAD_LETTER_TABLE } from "../schema/bookkeeping.ts";

/** A dead letter as a replay reads it. */
export interface StoredLetter {
  id: number;
  batchId: string;
  payloadId: number;
  /** Undefined: the content is a whole payload. */
  recordIndex: number | undefined;
  code: string;
  reason: string;
  attempts: number;
  token: string;
  /** Unix milliseconds. */
  receivedAt: number;
  content: Buffer;
}

interface LetterRow {
  id: string;
  batch_id: string;
  payload_id: string;
  record_index: number | null;
  code: string;
  reason: string;
  attempts: number;
  token: string;
  received_at: Date;
  content: Buffer;
}

/** Locks letters until the transaction ends; those that are gone, or another holds, are left out. */
export async function lockLetters(client: Client, ids: readonly number[]): Promise<StoredLetter[]> {
  const { rows } = await client.query<LetterRow>(
    `SELECT id, batch_id, payload_id, record_index, code, reason, attempts, token, received_at, content
     FROM ${DEAD_LETTER_TABLE} WHERE id = ANY ($1::bigint[])
     ORDER BY id FOR UPDATE SKIP LOCKED`,
    [ids],
  );
  return rows.map((row) => ({
    id: Number(row.id),
    batchId: row.batch_id,
    payloadId: Number(row.payload_id),
    recordIndex: row.record_index ?? undefined,
    code: row.code,
    reason: row.reason,
    attempts: row.attempts,
    token: row.token,
    receivedAt: row.received_at.getTime(),
    content: row.content,
  }));
}
