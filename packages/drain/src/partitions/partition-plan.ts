import { type PartitionBy, parseRetention } from "../schema/partition-by.ts";
import {
  addIntervals,
  intervalAt,
  momentBefore,
  partitionName,
  rangeOfName,
  startOfInterval,
  type TimeRange,
} from "./partition-calendar.ts";

/** A table that is split by time. */
export interface PartitionedTable {
  readonly name: string;
  readonly partitionBy: PartitionBy;
}

/** A partition that the database has, the default one apart. */
export interface ExistingPartition {
  readonly name: string;
  /** Undefined where it has no lower bound. */
  readonly from: Date | undefined;
  /** Undefined where it has no upper bound. */
  readonly to: Date | undefined;
}

/** A partition to make. */
export interface NewPartition extends TimeRange {
  readonly name: string;
}

/** What a table's partitions need. */
export interface PartitionPlan {
  /** In the order of time, those that are needed first ahead of those for late rows. */
  readonly create: readonly NewPartition[];
  /** Names of partitions whose time is over, the oldest first. */
  readonly drop: readonly string[];
  /** Rows of the default partition that arrived before this are deleted. */
  readonly expireReceivedBefore: Date | undefined;
}

/** How many partitions are there ahead of the current one. */
const AHEAD = { day: 2, month: 1 };
/** How many intervals back late rows get partitions; what is older stays in the default partition. */
const LATE = { day: 31, month: 12 };
const YEAR_ONE = new Date("0001-01-01T00:00:00Z");

/**
 * Decides which partitions to make and which to drop.
 *
 * @param lateMoments - moments of rows in the default partition, within {@link lateRange}.
 */
export function planPartitions(
  table: PartitionedTable,
  existing: readonly ExistingPartition[],
  lateMoments: readonly Date[],
  now: Date,
): PartitionPlan {
  const { interval } = table.partitionBy;
  const cutoff = cutoffOf(table, now);
  const current = startOfInterval(interval, now);
  const starts = new Set<number>();
  for (let offset = -1; offset <= AHEAD[interval]; offset++) {
    starts.add(addIntervals(interval, current, offset).getTime());
  }
  const late = lateRange(table, now);
  for (const moment of lateMoments) {
    if (moment >= late.from && moment < late.to) {
      starts.add(startOfInterval(interval, moment).getTime());
    }
  }
  const create: NewPartition[] = [];
  for (const start of starts) {
    const range = intervalAt(interval, new Date(start));
    const isOver = cutoff !== undefined && range.to <= cutoff;
    // One of another interval, or one that somebody made by hand, already takes some of it.
    if (isOver || existing.some((partition) => overlaps(partition, range))) continue;
    create.push({ name: partitionName(table.name, interval, range.from), ...range });
  }
  return { create, drop: dropped(table, existing, cutoff), expireReceivedBefore: cutoff };
}

/** Where in time rows of the default partition are given partitions of their own. */
export function lateRange({ partitionBy }: PartitionedTable, now: Date): TimeRange {
  const { interval } = partitionBy;
  const current = startOfInterval(interval, now);
  return {
    from: addIntervals(interval, current, -LATE[interval]),
    to: addIntervals(interval, current, -1),
  };
}

function cutoffOf({ partitionBy }: PartitionedTable, now: Date): Date | undefined {
  const span = parseRetention(partitionBy.retain);
  if (span === undefined) return undefined;
  const cutoff = momentBefore(now, span);
  // No record is from before the year 1, and few formats can write such a date.
  return cutoff < YEAR_ONE ? YEAR_ONE : cutoff;
}

/** Only what bears a name of ours and holds what the name says: anything else is somebody's own. */
function dropped(
  table: PartitionedTable,
  existing: readonly ExistingPartition[],
  cutoff: Date | undefined,
): string[] {
  if (cutoff === undefined) return [];
  return existing
    .flatMap(({ name, from, to }) => {
      const range = rangeOfName(table.name, name);
      const isOurs =
        range !== undefined &&
        from?.getTime() === range.from.getTime() &&
        to?.getTime() === range.to.getTime();
      return isOurs && range.to <= cutoff ? [{ name, to: range.to }] : [];
    })
    .toSorted((left, right) => left.to.getTime() - right.to.getTime())
    .map(({ name }) => name);
}

function overlaps(partition: ExistingPartition, range: TimeRange): boolean {
  const startsBefore = partition.from === undefined || partition.from < range.to;
  return startsBefore && (partition.to === undefined || partition.to > range.from);
}
