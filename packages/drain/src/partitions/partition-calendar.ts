import type { PartitionInterval, RetentionSpan } from "../schema/partition-by.ts";

/** A span of time, the end not included. */
export interface TimeRange {
  readonly from: Date;
  readonly to: Date;
}

const DAY_MS = 86_400_000;
const NAME_SUFFIX = /^_p(\d{4})(\d{2})(\d{2})?$/;

/** Start of the interval that `moment` lies in. */
export function startOfInterval(interval: PartitionInterval, moment: Date): Date {
  return utcDate(
    moment.getUTCFullYear(),
    moment.getUTCMonth(),
    interval === "day" ? moment.getUTCDate() : 1,
  );
}

/** Start of the interval that is `count` after the one that starts at `start`; before it if negative. */
export function addIntervals(interval: PartitionInterval, start: Date, count: number): Date {
  const [year, month, day] = [start.getUTCFullYear(), start.getUTCMonth(), start.getUTCDate()];
  return interval === "day" ? utcDate(year, month, day + count) : utcDate(year, month + count, day);
}

/** The whole interval that `moment` lies in. */
export function intervalAt(interval: PartitionInterval, moment: Date): TimeRange {
  const from = startOfInterval(interval, moment);
  return { from, to: addIntervals(interval, from, 1) };
}

/**
 * The moment that lies a retention before `now`. A month before the 31st is the last day of a month
 * that has no 31st.
 */
export function momentBefore(now: Date, { count, unit }: RetentionSpan): Date {
  if (unit === "day") return new Date(now.getTime() - count * DAY_MS);
  if (unit === "week") return new Date(now.getTime() - count * 7 * DAY_MS);
  const months = unit === "year" ? count * 12 : count;
  const month = now.getUTCMonth() - months;
  const lastDay = utcDate(now.getUTCFullYear(), month + 1, 0).getUTCDate();
  const day = utcDate(now.getUTCFullYear(), month, Math.min(now.getUTCDate(), lastDay));
  return new Date(day.getTime() + (now.getTime() - startOfInterval("day", now).getTime()));
}

/** `<table>_p20261123`, or `<table>_p202611` for a month. */
export function partitionName(table: string, interval: PartitionInterval, from: Date): string {
  const digits = from.toISOString().slice(0, 10).replaceAll("-", "");
  return `${table}_p${interval === "day" ? digits : digits.slice(0, 6)}`;
}

/** The span that a name of {@link partitionName} speaks of; undefined for any other name. */
export function rangeOfName(table: string, name: string): TimeRange | undefined {
  const match = name.startsWith(table) ? NAME_SUFFIX.exec(name.slice(table.length)) : null;
  if (match === null) return undefined;
  const interval = match[3] === undefined ? "month" : "day";
  const from = utcDate(Number(match[1]), Number(match[2]) - 1, Number(match[3] ?? 1));
  // The 31st of June is the 1st of July to Date, and no name of ours.
  if (partitionName(table, interval, from) !== name) return undefined;
  return { from, to: addIntervals(interval, from, 1) };
}

/** Not `Date.UTC`, to which year 26 is 1926. */
function utcDate(year: number, month: number, day: number): Date {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  return date;
}
