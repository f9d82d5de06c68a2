import { type RecordMeta, tokenText } from "../encode/record-meta.ts";
import { microsecondsOf, microsecondsText, timestampText } from "../encode/timestamp-text.ts";
import type { UpsertStatement } from "../upsert/upsert-statement.ts";
import { KeyBudget, OTHER_KEY } from "./key-budget.ts";
import { RollupCell, type RollupSample } from "./rollup-cell.ts";
import { statementValues } from "./rollup-chunks.ts";
import { rollupReaders } from "./rollup-readers.ts";
import { rollupSql } from "./rollup-statement.ts";
import { RollupWindow } from "./rollup-window.ts";
import type { ErrorCondition, RollupDefinition } from "./rollup.ts";
import { sketchBin } from "./sketch.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What a batch adds to one rollup. */
interface RollupGroup {
  /** @throws {@link RecordRefused}, having changed nothing. */
  collect(record: Fields, meta: RecordMeta): void;
  /** The statements that merge the rows into the table, to be run in this order. */
  statements(): UpsertStatement[];
}

/** One rollup, ready to count records. */
export interface CompiledRollup {
  readonly name: string;
  readonly types: readonly string[];
  createGroup(): RollupGroup;
}

/** The cells of one token and key. */
interface KeyCells {
  /** Both in one string. */
  readonly rowKey: string;
  /** Token, then the key columns. */
  readonly key: readonly string[];
  /** For each interval, cells by the start of their bucket in Unix seconds. */
  readonly cells: ReadonlyArray<Map<number, RollupCell>>;
}

/** Between the parts of a key; no checked text holds it. */
const KEY_SEPARATOR = "\0";
const MICROSECONDS = 1_000_000;

/** Compiles one rollup. Compile once per thread: it remembers the keys of the hour. */
export function compileRollup(rollup: RollupDefinition): CompiledRollup {
  const readers = rollupReaders(rollup);
  const text = rollupSql(rollup);
  const isError = errorTest(rollup.errors);
  const budget = new KeyBudget(rollup.maxKeys);
  const otherKey = readers.key.map(() => OTHER_KEY).join(KEY_SEPARATOR);
  const windows = rollup.intervals
    .map((interval) => new RollupWindow(rollup, interval))
    .toSorted((left, right) => left.seconds - right.seconds);

  const valuesOf = ({ seconds, bucket, key, cell }: RollupRow): Array<string | null> => [
    String(seconds),
    timestampText(bucket) ?? null,
    ...key,
    cell.occurrences,
    ...(rollup.errors === undefined ? [] : [cell.errors]),
    ...(rollup.duration === undefined ? [] : cell.durationValues()),
    microsecondsText(cell.lastSeenAt) ?? null,
    ...cell.latest,
  ];

  /** Of the record in hand; used again for each. */
  const buckets: Array<number | undefined> = windows.map(() => undefined);

  const createGroup = (): RollupGroup => {
    const byToken = new Map<string, Map<string, KeyCells>>();

    const cellsOf = (record: Fields, meta: RecordMeta): KeyCells["cells"] => {
      const token = tokenText(meta.token);
      let key = keyOf(record);
      const isAdmitted = budget.admits(token, key, meta.receivedAt);
      if (!isAdmitted) key = otherKey;
      // Two maps, not one by both: a new string for each record took longer than to look it up.
      let byKey = byToken.get(token);
      if (byKey === undefined) {
        byKey = new Map();
        byToken.set(token, byKey);
      }
      let entry = byKey.get(key);
      if (entry === undefined) {
        entry = {
          rowKey: token + KEY_SEPARATOR + key,
          key: [token, ...key.split(KEY_SEPARATOR)],
          cells: windows.map(() => new Map<number, RollupCell>()),
        };
        byKey.set(key, entry);
      }
      return entry.cells;
    };

    return {
      collect(record, meta) {
        const moment = record[readers.occurredAt.field];
        // As the table rounds it: a moment just before midnight may be the next day's.
        const microseconds = microsecondsOf(moment);
        const seconds = Math.floor(microseconds / MICROSECONDS);
        let isCounted = false;
        for (let index = 0; index < windows.length; index++) {
          buckets[index] = windows[index]?.bucketOf(seconds, meta.receivedAt);
          isCounted ||= buckets[index] !== undefined;
        }
        if (!isCounted) {
          // Only here: it writes the moment as text, a third of what collecting cost.
          readers.occurredAt.read(moment);
          return;
        }
        const latest = readers.latest.map((reader) => reader.read(record[reader.field]));
        const sample = sampleOf(record, microseconds);
        const cells = cellsOf(record, meta);
        for (let index = 0; index < windows.length; index++) {
          const bucket = buckets[index];
          const byBucket = cells[index];
          if (bucket === undefined || byBucket === undefined) continue;
          let cell = byBucket.get(bucket);
          if (cell === undefined) {
            cell = new RollupCell();
            byBucket.set(bucket, cell);
          }
          cell.add(sample);
          if (sample.microseconds >= cell.lastSeenAt) {
            cell.lastSeenAt = sample.microseconds;
            cell.latest = latest;
          }
        }
      },
      statements: () =>
        statementValues(inLockOrder(windows, byToken).map(valuesOf)).map((values) => ({
          text,
          values,
        })),
    };
  };

  const keyOf = (record: Fields): string => {
    let key: string | undefined;
    for (const reader of readers.key) {
      const part = reader.read(record[reader.field]) ?? "";
      key = key === undefined ? part : key + KEY_SEPARATOR + part;
    }
    return key ?? "";
  };

  const sampleOf = (record: Fields, microseconds: number): RollupSample => {
    const { duration: reader } = readers;
    const value = reader === undefined ? undefined : record[reader.field];
    const duration = reader?.read(value) == null ? undefined : (value as number);
    const bin = duration === undefined ? 0 : sketchBin(duration);
    return { microseconds, isError: isError(record), duration, bin };
  };

  return { name: rollup.name, types: [rollup.match.t], createGroup };
}

function errorTest(errors: ErrorCondition | undefined): (record: Fields) => boolean {
  if (errors === undefined) return () => false;
  const { field } = errors;
  if ("equals" in errors) return (record) => record[field] === errors.equals;
  return (record) => {
    const value = record[field];
    return typeof value === "number" && value >= errors.atLeast;
  };
}

interface RollupRow {
  readonly seconds: number;
  readonly bucket: number;
  readonly rowKey: string;
  readonly key: readonly string[];
  readonly cell: RollupCell;
}

/** The same order in every process: sessions that lock rows in one order cannot deadlock. */
function inLockOrder(
  windows: readonly RollupWindow[],
  byToken: ReadonlyMap<string, ReadonlyMap<string, KeyCells>>,
): RollupRow[] {
  const rows: RollupRow[] = [];
  const entries = [...byToken.values()].flatMap((byKey) => [...byKey.values()]);
  for (const { rowKey, key, cells } of entries) {
    for (const [index, { seconds }] of windows.entries()) {
      for (const [bucket, cell] of cells[index] ?? []) {
        rows.push({ seconds, bucket, rowKey, key, cell });
      }
    }
  }
  return rows.toSorted(
    (left, right) =>
      left.seconds - right.seconds ||
      left.bucket - right.bucket ||
      (left.rowKey < right.rowKey ? -1 : 1),
  );
}
