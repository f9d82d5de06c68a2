import { tableInvalid } from "./definition-check.ts";
import type { ColumnDefinition } from "./columns.ts";
import { MAX_IDENTIFIER_BYTES } from "./identifier.ts";

/** How much time one partition holds, in UTC. */
export type PartitionInterval = "day" | "month";

/** A number of days, weeks, months or years, as in `30 days`. */
export type Retention = `${number} ${"day" | "week" | "month" | "year"}${"s" | ""}`;

/** How a table is split by time; plain data. */
export interface PartitionBy {
  /** A `timestamptz` column that is `required`, or `received_at`. */
  readonly column: string;
  /** What one partition holds, in UTC. */
  readonly interval: PartitionInterval;
  /**
   * Partitions are dropped once all of their time is longer ago than this: `1 day` to `99999 years`.
   *
   * @default undefined: kept for ever
   */
  readonly retain?: Retention | undefined;
}

/** A retention taken apart. */
export interface RetentionSpan {
  readonly count: number;
  readonly unit: "day" | "week" | "month" | "year";
}

const INTERVALS: readonly string[] = ["day", "month"] satisfies PartitionInterval[];
const RETENTION = /^([1-9]\d{0,4}) (day|week|month|year)s?$/;
/** Of `_p20261123`, the longest that is added to a table's name. */
const SUFFIX_LENGTH = 10;

/** @returns undefined for what is no {@link Retention}. */
export function parseRetention(text: unknown): RetentionSpan | undefined {
  const match = typeof text === "string" ? RETENTION.exec(text) : null;
  if (match === null) return undefined;
  return { count: Number(match[1]), unit: match[2] as RetentionSpan["unit"] };
}

/** Name of the partition that takes the rows of which no other is. */
export function defaultPartitionName(table: string): string {
  return `${table}_default`;
}

/** Whether a partition of `table` may be called `name`. */
export function isPartitionName(table: string, name: string): boolean {
  return name.startsWith(table) && /^_(default|p\d{6}(\d{2})?)$/.test(name.slice(table.length));
}

/** @throws {@link MillraceError} `DRAIN_TABLE_INVALID` for partitions that could not be made. */
export function checkPartitionBy(
  table: string,
  columns: Readonly<Record<string, ColumnDefinition>>,
  partitionBy: PartitionBy,
): void {
  if (typeof partitionBy !== "object" || partitionBy === null) {
    throw tableInvalid(table, "partitionBy must be { column, interval, retain? }");
  }
  const { column, interval, retain } = partitionBy;
  const definition = Object.hasOwn(columns, column) ? columns[column] : undefined;
  const isUsable = definition?.type === "timestamptz" && definition.required === true;
  if (column !== "received_at" && !isUsable) {
    throw tableInvalid(
      table,
      `partitionBy.column must be received_at or a required timestamptz column, which ${column} is not`,
    );
  }
  if (!INTERVALS.includes(interval)) {
    throw tableInvalid(
      table,
      `partitionBy.interval is day or month, not ${JSON.stringify(interval)}`,
    );
  }
  if (retain !== undefined && parseRetention(retain) === undefined) {
    throw tableInvalid(
      table,
      `partitionBy.retain is like "30 days", in days, weeks, months or years, not ${JSON.stringify(retain)}`,
    );
  }
  const longest = MAX_IDENTIFIER_BYTES - SUFFIX_LENGTH;
  if (table.length > longest) {
    throw tableInvalid(
      table,
      `the name has ${table.length} characters, those of its partitions leave it ${longest}: shorten it`,
    );
  }
}
