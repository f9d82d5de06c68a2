import { type RecordMeta, tokenText } from "../encode/record-meta.ts";
import { isTimestamp, microsecondsOf } from "../encode/timestamp-text.ts";
import { unknownFieldsText } from "../encode/unknown-fields.ts";
import type { CountCondition, UpsertDefinition } from "../schema/upsert.ts";
import { upsertReaders } from "./upsert-readers.ts";
import type { UpsertRow } from "./upsert-row.ts";
import { upsertSql, type UpsertStatement, upsertValues } from "./upsert-statement.ts";

/** Rows of one upsert table by their key, as one string. */
export type UpsertRows = Map<string, UpsertRow>;

/** Keys of one statement; keeps plans and parameters of a sane size. */
const MAX_STATEMENT_ROWS = 5_000;
/** Characters of one statement's values; a single row may exceed it. */
const MAX_STATEMENT_LENGTH = 8 * 1024 * 1024;

/** Between the parts of a key; no checked text holds it. */
const KEY_SEPARATOR = "\0";

/** One upsert table, ready to merge records. */
export interface CompiledUpsert {
  readonly name: string;
  readonly types: readonly string[];
  /**
   * Adds a record to its row; does nothing when a part of the key is NULL.
   *
   * @throws {@link RecordRefused}, having changed nothing.
   */
  collect(rows: UpsertRows, record: Readonly<Record<string, unknown>>, meta: RecordMeta): void;
  /** The statements that merge `rows` into the table, to be run in this order. */
  statements(rows: UpsertRows): UpsertStatement[];
}

/** Compiles one upsert. */
export function compileUpsert(upsert: UpsertDefinition): CompiledUpsert {
  const { key: keyReaders, occurredAt, latest: latestReaders, knownFields } = upsertReaders(upsert);
  const conditions = Object.values(upsert.counts).map((condition) => Object.entries(condition));
  const text = upsertSql(upsert);

  const readLatest = (record: Readonly<Record<string, unknown>>) => {
    const latest = latestReaders.map((reader) => reader.read(record[reader.field]));
    if (knownFields !== undefined) latest.push(unknownFieldsText(record, knownFields));
    return latest;
  };

  return {
    name: upsert.name,
    types: upsert.match.t,
    collect(rows, record, meta) {
      let rowKey = tokenText(meta.token);
      for (const reader of keyReaders) {
        const part = reader.read(record[reader.field]);
        if (part === null) return;
        rowKey += KEY_SEPARATOR + part;
      }
      const moment = microsecondsOf(record[occurredAt.field]);
      // Only to refuse it: writing each moment as text took longer than all the rest.
      if (!isTimestamp(moment)) occurredAt.read(record[occurredAt.field]);
      let row = rows.get(rowKey);
      if (row === undefined) {
        row = {
          key: rowKey.split(KEY_SEPARATOR),
          counts: conditions.map(() => 0),
          firstSeenAt: moment,
          lastSeenAt: moment,
          latest: readLatest(record),
        };
        rows.set(rowKey, row);
      } else {
        if (moment >= row.lastSeenAt) {
          row.latest = readLatest(record);
          row.lastSeenAt = moment;
        }
        if (moment < row.firstSeenAt) row.firstSeenAt = moment;
      }
      for (let index = 0; index < conditions.length; index++) {
        if (!meets(record, conditions[index] ?? [])) continue;
        row.counts[index] = (row.counts[index] ?? 0) + 1;
      }
    },
    statements: (rows) =>
      chunks(inKeyOrder(rows)).map((chunk) => ({ text, values: upsertValues(chunk) })),
  };
}

function meets(
  record: Readonly<Record<string, unknown>>,
  condition: ReadonlyArray<[string, CountCondition[string]]>,
): boolean {
  return condition.every(([field, value]) => record[field] === value);
}

/** The same order in every process: sessions that lock rows in one order cannot deadlock. */
function inKeyOrder(rows: UpsertRows): UpsertRow[] {
  return [...rows].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, row]) => row);
}

function chunks(rows: readonly UpsertRow[]): UpsertRow[][] {
  const result: UpsertRow[][] = [];
  let chunk: UpsertRow[] = [];
  let length = 0;
  for (const row of rows) {
    const rowLength = lengthOf(row);
    const isFull = chunk.length === MAX_STATEMENT_ROWS || length + rowLength > MAX_STATEMENT_LENGTH;
    if (chunk.length === 0 || isFull) {
      chunk = [];
      result.push(chunk);
      length = 0;
    }
    chunk.push(row);
    length += rowLength;
  }
  return result;
}

function lengthOf({ key, latest }: UpsertRow): number {
  let length = 0;
  for (const part of key) length += part.length;
  for (const value of latest) length += value?.length ?? 0;
  return length;
}
