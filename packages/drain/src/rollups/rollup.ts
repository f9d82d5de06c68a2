import type { ColumnDefinition } from "../schema/columns.ts";
import {
  checkColumnNames,
  checkColumns,
  checkField,
  checkRecordType,
  checkTableName,
  tableInvalid,
} from "../schema/definition-check.ts";
import { parseRetention, type Retention } from "../schema/partition-by.ts";
import { INTERVAL_SECONDS, type RollupInterval } from "./rollup-interval.ts";

/** Says of a record that it is an error: the field has this value, or this number or a higher one. */
export type ErrorCondition =
  | { readonly field: string; readonly equals: string | number | boolean }
  | { readonly field: string; readonly atLeast: number };

/** How long the rows of each interval are kept. */
export type RollupRetention = Readonly<Partial<Record<RollupInterval, Retention | undefined>>>;

/** A table with one row per interval, bucket of time, token and key; plain data. */
export interface RollupDefinition {
  readonly name: string;
  /** Records whose field `t` equals this are counted. */
  readonly match: { readonly t: string };
  /** `text` columns that, with the token, say what is counted together. */
  readonly key: Readonly<Record<string, ColumnDefinition>>;
  /** Field that holds the record's moment in Unix seconds. */
  readonly occurredAt: string;
  /** Field that holds whole microseconds. */
  readonly duration?: string | undefined;
  /** Which records `errors` counts. */
  readonly errors?: ErrorCondition | undefined;
  /** `text` columns that keep the value of the record with the latest moment in the bucket. */
  readonly latest: Readonly<Record<string, ColumnDefinition>>;
  readonly intervals: readonly RollupInterval[];
  readonly retain: RollupRetention;
  /** Keys that one worker gives rows of their own to, per token and hour. */
  readonly maxKeys: number;
}

/** What {@link defineRollup} takes besides the name. */
export interface RollupOptions {
  /** Records whose field `t` equals this are counted. */
  readonly match: { readonly t: string };
  /**
   * `text` columns that, with the token, say what is counted together: the hash of a route or a query,
   * never an id, a URL or anything else that is new with every record. A record without a value
   * counts under `""`.
   */
  readonly key: Readonly<Record<string, ColumnDefinition>>;
  /** Field that holds the record's moment in Unix seconds; a record without it is refused. */
  readonly occurredAt: string;
  /**
   * Field that holds whole microseconds; adds `duration_count`, `duration_us_sum`, `duration_us_min`,
   * `duration_us_max` and `sketch`.
   *
   * @default undefined: none of these columns
   */
  readonly duration?: string | undefined;
  /** Which records the column `errors` counts. @default undefined: no such column */
  readonly errors?: ErrorCondition | undefined;
  /**
   * `text` columns that keep the value of the record with the latest moment in the bucket, to name the
   * key to a person. Each row holds them: keep them short.
   *
   * @default {}
   */
  readonly latest?: Readonly<Record<string, ColumnDefinition>> | undefined;
  /** @default ["minute", "hour"] */
  readonly intervals?: readonly RollupInterval[] | undefined;
  /** How long the rows of an interval are kept: `{ minute: "7 days" }`. @default {}: for ever */
  readonly retain?: RollupRetention | undefined;
  /**
   * Keys that one worker gives rows of their own to, per token and hour; records of further keys count
   * under `(other)`. From 1 to 100,000.
   *
   * @default 5_000
   */
  readonly maxKeys?: number | undefined;
}

const DEFAULT_MAX_KEYS = 5_000;
const MAX_MAX_KEYS = 100_000;

/** Columns of rollup tables that are not declared by name. */
const OWN_ROLLUP_COLUMNS: readonly string[] = [
  "interval_seconds",
  "bucket",
  "token",
  "occurrences",
  "errors",
  "duration_count",
  "duration_us_sum",
  "duration_us_min",
  "duration_us_max",
  "sketch",
  "last_seen_at",
];

/**
 * Declares a table that counts records per minute and per hour: one row per interval, bucket, token and
 * key, written in the transaction that lands the records.
 *
 * Columns are `interval_seconds` (60 or 3,600), `bucket` (when it starts, in UTC), `token`, the key,
 * `occurrences`, `errors`, those of the duration, `last_seen_at` and those of `latest`. Buckets go by
 * the record's own moment. Left out are records from more than a day after their arrival, from more
 * than a year before it, and those whose bucket `retain` would delete at once.
 *
 * A record type may land in a table and in rollups, or in rollups only.
 *
 * @example
 * ```ts
 * import { defineRollup, text } from "@millrace/drain";
 *
 * defineRollup("page_view_rollups", {
 *   match: { t: "page-view" },
 *   key: { template: text("template") },
 *   occurredAt: "timestamp",
 *   duration: "duration",
 *   errors: { field: "status", atLeast: 500 },
 *   retain: { minute: "7 days", hour: "1 year" },
 * });
 * ```
 *
 * @throws {@link MillraceError} `DRAIN_TABLE_INVALID`.
 */
export function defineRollup(name: string, options: RollupOptions): RollupDefinition {
  const { duration, errors } = options;
  const rollup = {
    name,
    match: { t: options.match.t },
    key: { ...options.key },
    occurredAt: options.occurredAt,
    ...(duration !== undefined && { duration }),
    ...(errors !== undefined && { errors: { ...errors } }),
    latest: { ...options.latest },
    intervals: [...(options.intervals ?? (["minute", "hour"] as const))],
    retain: { ...options.retain },
    maxKeys: options.maxKeys ?? DEFAULT_MAX_KEYS,
  };
  checkRollup(rollup);
  return rollup;
}

/** @throws {@link MillraceError} `DRAIN_TABLE_INVALID`. */
export function checkRollup(rollup: RollupDefinition): void {
  const { name, key, latest, duration, maxKeys } = rollup;
  checkTableName(name);
  checkRecordType(name, rollup.match?.t);
  if (Object.keys(key).length === 0) throw tableInvalid(name, "a key needs a column");
  for (const columns of [key, latest]) {
    checkColumns(name, columns, OWN_ROLLUP_COLUMNS);
    for (const [column, { type }] of Object.entries(columns)) {
      if (type !== "text") {
        throw tableInvalid(name, `${column}: a rollup's columns are text, not ${type}`);
      }
    }
  }
  checkColumnNames(name, [...Object.keys(key), ...Object.keys(latest)], OWN_ROLLUP_COLUMNS);
  checkField(name, "bucket", rollup.occurredAt);
  if (duration !== undefined) checkField(name, "duration_us_sum", duration);
  if (rollup.errors !== undefined) checkErrors(name, rollup.errors);
  checkIntervals(rollup);
  if (!Number.isInteger(maxKeys) || maxKeys < 1 || maxKeys > MAX_MAX_KEYS) {
    throw tableInvalid(name, `maxKeys is a whole number from 1 to ${MAX_MAX_KEYS}, not ${maxKeys}`);
  }
}

function checkErrors(table: string, errors: ErrorCondition): void {
  checkField(table, "errors", errors.field);
  const isValid =
    "atLeast" in errors
      ? Number.isFinite(errors.atLeast)
      : ["string", "number", "boolean"].includes(typeof errors.equals);
  if (!isValid || ("atLeast" in errors && "equals" in errors)) {
    throw tableInvalid(table, "errors must be { field, equals } or { field, atLeast: a number }");
  }
}

function checkIntervals({ name, intervals, retain }: RollupDefinition): void {
  if (intervals.length === 0 || new Set(intervals).size !== intervals.length) {
    throw tableInvalid(name, "intervals must name minute, hour or both, each once");
  }
  for (const interval of intervals) {
    if (!Object.hasOwn(INTERVAL_SECONDS, interval)) {
      throw tableInvalid(name, `an interval is minute or hour, not ${JSON.stringify(interval)}`);
    }
  }
  for (const [interval, retention] of Object.entries(retain)) {
    if (!intervals.some((one) => one === interval)) {
      throw tableInvalid(name, `retain.${interval} is of an interval that is not declared`);
    }
    if (retention !== undefined && parseRetention(retention) === undefined) {
      throw tableInvalid(
        name,
        `retain.${interval} is like "7 days", in days, weeks, months or years, not ${JSON.stringify(retention)}`,
      );
    }
  }
}
