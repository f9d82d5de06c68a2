import type { Client } from "pg";
import { AUDIT_PAYLOADS_TABLE, AUDIT_RECORDS_TABLE } from "../schema/audit-tables.ts";
import { DEAD_LETTER_TABLE, LEDGER_TABLE } from "../schema/bookkeeping.ts";
import { quoteIdentifier } from "../schema/identifier.ts";
import { LETTERS_SOURCE } from "../write/audit-tally.ts";
import type { BufferHistory, LandedHour } from "./buffer-account.ts";

/** Whole hours, the end not included. */
export interface HourRange {
  from: Date;
  to: Date;
}

/** What has landed of each buffer, by buffer id. */
export async function readLandedPayloads(
  client: Client,
  { from, to }: HourRange,
): Promise<Map<string, Omit<BufferHistory, "buffered">>> {
  const { rows } = await client.query<{
    buffer_id: string;
    hour: Date;
    payloads: string;
    first_id: string;
    last_id: string;
  }>(
    // The hours before and after are folded into one each.
    `SELECT buffer_id, least(greatest(hour, $1::timestamptz - interval '1 hour'), $2) AS hour,
       sum(payloads) AS payloads, min(first_payload_id) AS first_id, max(last_payload_id) AS last_id
     FROM ${AUDIT_PAYLOADS_TABLE} WHERE buffer_id <> $3 GROUP BY 1, 2`,
    [from, to, LETTERS_SOURCE.bufferId],
  );
  return new Map(
    [...Map.groupBy(rows, (row) => row.buffer_id)].map(([bufferId, hours]) => {
      const landed: LandedHour[] = hours.map((row) => ({
        hour: row.hour.getTime(),
        payloads: Number(row.payloads),
        firstId: Number(row.first_id),
        lastId: Number(row.last_id),
      }));
      return [
        bufferId,
        {
          landed: landed.filter(({ hour }) => hour >= from.getTime() && hour < to.getTime()),
          lastIdBefore: landed.find(({ hour }) => hour < from.getTime())?.lastId,
          firstIdAfter: landed.find(({ hour }) => hour >= to.getTime())?.firstId,
        },
      ];
    }),
  );
}

/** Payload ids of the batches of a buffer that have landed, from `firstId` on. */
export async function readLandedIds(
  client: Client,
  bufferId: string,
  firstId: number,
): Promise<Array<{ firstId: number; lastId: number }>> {
  const { rows } = await client.query<{ first_id: string; last_id: string }>(
    `SELECT first_payload_id AS first_id, last_payload_id AS last_id
     FROM ${LEDGER_TABLE} WHERE buffer_id = $1 AND last_payload_id >= $2`,
    [bufferId, firstId],
  );
  return rows.map((row) => ({ firstId: Number(row.first_id), lastId: Number(row.last_id) }));
}

/** Numbers by hour, in Unix milliseconds, and then by table. */
export type RecordsByHour = Map<number, Map<string, number>>;

/** Records that batches and replays have landed. */
export async function readLandedRecords(
  client: Client,
  { from, to }: HourRange,
): Promise<RecordsByHour> {
  const { rows } = await client.query<{ hour: Date; destination: string; records: string }>(
    `SELECT hour, destination, sum(records) AS records FROM ${AUDIT_RECORDS_TABLE}
     WHERE hour >= $1 AND hour < $2 GROUP BY 1, 2`,
    [from, to],
  );
  return new Map(
    [...Map.groupBy(rows, ({ hour }) => hour.getTime())].map(([hour, landed]) => [
      hour,
      new Map(landed.map(({ destination, records }) => [destination, Number(records)])),
    ]),
  );
}

/** Rows that a table has, by hour of receipt; none when there is no such table. */
export async function countRows(
  client: Client,
  table: string,
  { from, to }: HourRange,
): Promise<Map<number, number>> {
  const known = await client.query("SELECT 1 FROM pg_class WHERE oid = to_regclass($1)", [
    quoteIdentifier(table),
  ]);
  if (known.rowCount === 0) return new Map();
  const { rows } = await client.query<{ hour: Date; rows: string }>(
    `SELECT date_bin('1 hour', received_at, 'epoch') AS hour, count(*) AS rows
     FROM ${quoteIdentifier(table)} WHERE received_at >= $1 AND received_at < $2 GROUP BY 1`,
    [from, to],
  );
  return new Map(rows.map((row) => [row.hour.getTime(), Number(row.rows)]));
}

/** Dead letters of one hour. */
export interface LettersOfHour {
  written: number;
  replayed: number;
  discarded: number;
  found: number;
  foundPayloads: number;
}

/** What became of dead letters, by hour of receipt in Unix milliseconds. */
export async function readLetters(
  client: Client,
  { from, to }: HourRange,
): Promise<Map<number, LettersOfHour>> {
  const { rows } = await client.query<Record<keyof LettersOfHour, string> & { hour: Date }>(
    `SELECT hour, sum(written) AS written, sum(replayed) AS replayed, sum(discarded) AS discarded,
       sum(found) AS found, sum(found_payloads) AS "foundPayloads"
     FROM (
       SELECT hour, dead_letters AS written, replayed, discarded, 0 AS found, 0 AS found_payloads
       FROM ${AUDIT_PAYLOADS_TABLE} WHERE hour >= $1 AND hour < $2
       UNION ALL
       SELECT date_bin('1 hour', received_at, 'epoch'), 0, 0, 0, 1, (record_index IS NULL)::int
       FROM ${DEAD_LETTER_TABLE} WHERE received_at >= $1 AND received_at < $2
     ) AS letters GROUP BY hour`,
    [from, to],
  );
  return new Map(
    rows.map((row) => [
      row.hour.getTime(),
      {
        written: Number(row.written),
        replayed: Number(row.replayed),
        discarded: Number(row.discarded),
        found: Number(row.found),
        foundPayloads: Number(row.foundPayloads),
      },
    ]),
  );
}
