import type { Client } from "pg";
import { DEAD_LETTER_TABLE } from "../schema/bookkeeping.ts";
import { filterConditions } from "./selection-sql.ts";
import type { DeadLetterFilter } from "./dead-letter-options.ts";
import type { DeadLetterPage, StoredDeadLetter } from "./stored-dead-letter.ts";

/** Content that one page may hold, in bytes; a single larger letter makes a page of its own. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024;

interface ListedRow {
  id: string;
  batch_id: string;
  payload_id: string;
  record_index: number | null;
  destination: string | null;
  code: string;
  reason: string;
  token: string;
  received_at: Date;
  created_at: Date;
  attempts: number;
  last_tried_at: Date | null;
  content_bytes: number;
}

/** Reads one page. */
export async function readPage(
  client: Client,
  options: DeadLetterFilter & {
    limit: number;
    cursor?: string | undefined;
    includeContent: boolean;
  },
): Promise<DeadLetterPage> {
  const conditions = filterConditions(options);
  if (options.cursor !== undefined) conditions.add("id < ?::bigint", options.cursor);
  const { rows } = await client.query<ListedRow>(
    `SELECT id, batch_id, payload_id, record_index, destination, code, reason, token, received_at,
       created_at, attempts, last_tried_at, octet_length(content) AS content_bytes
     FROM ${DEAD_LETTER_TABLE} WHERE ${conditions.sql}
     ORDER BY id DESC LIMIT ${options.limit + 1}`,
    conditions.values,
  );
  const listed = rows.slice(0, options.limit).map(toLetter);
  const letters = options.includeContent ? await withContent(client, listed) : listed;
  const isLast = letters.length === listed.length && rows.length <= options.limit;
  return { letters, nextCursor: isLast ? undefined : letters.at(-1)?.id.toString() };
}

/** As many of the letters as fit a page. */
async function withContent(
  client: Client,
  listed: readonly StoredDeadLetter[],
): Promise<StoredDeadLetter[]> {
  let bytes = 0;
  const fitting = listed.filter((letter, index) => {
    bytes += letter.contentBytes;
    return index === 0 || bytes <= MAX_PAGE_BYTES;
  });
  const { rows } = await client.query<{ id: string; content: Buffer }>(
    `SELECT id, content FROM ${DEAD_LETTER_TABLE} WHERE id = ANY ($1::bigint[])`,
    [fitting.map(({ id }) => id)],
  );
  const contents = new Map(rows.map(({ id, content }) => [Number(id), content]));
  for (const letter of fitting) {
    const content = contents.get(letter.id);
    if (content !== undefined) letter.content = content;
  }
  return fitting;
}

function toLetter(row: ListedRow): StoredDeadLetter {
  return {
    id: Number(row.id),
    batchId: row.batch_id,
    payloadId: Number(row.payload_id),
    recordIndex: row.record_index ?? undefined,
    destination: row.destination ?? undefined,
    code: row.code,
    reason: row.reason,
    token: row.token,
    receivedAt: row.received_at,
    createdAt: row.created_at,
    attempts: row.attempts,
    lastTriedAt: row.last_tried_at ?? undefined,
    contentBytes: row.content_bytes,
  };
}
