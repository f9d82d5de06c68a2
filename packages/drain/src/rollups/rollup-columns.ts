import { quoteIdentifier } from "../schema/identifier.ts";
import type { RollupDefinition } from "./rollup.ts";

/** How a column merges with what is stored. */
type RollupMerge = "key" | "add" | "least" | "greatest" | "latest" | "sketch";

/** A column of a rollup table. */
export interface RollupColumn {
  /** Quoted. */
  readonly name: string;
  readonly sqlType: string;
  /** What follows the type where the column is made. */
  readonly constraint: string;
  readonly merge: RollupMerge;
}

/** The columns of a rollup's table, in the order in which rows give their values. */
export function rollupColumns(rollup: RollupDefinition): RollupColumn[] {
  return [
    key("interval_seconds", "integer"),
    key("bucket", "timestamptz"),
    key("token", "text"),
    ...Object.keys(rollup.key).map((name) => key(name, "text")),
    add("occurrences", "bigint"),
    ...(rollup.errors === undefined ? [] : [add("errors", "bigint")]),
    ...(rollup.duration === undefined ? [] : DURATION_COLUMNS),
    column("last_seen_at", "timestamptz", "greatest"),
    ...Object.keys(rollup.latest).map((name) => column(name, "text", "latest")),
  ];
}

/** The sum has no upper bound: a few absurd durations must not make a row that nothing can be added to. */
const DURATION_COLUMNS: readonly RollupColumn[] = [
  add("duration_count", "bigint"),
  add("duration_us_sum", "numeric"),
  column("duration_us_min", "bigint", "least"),
  column("duration_us_max", "bigint", "greatest"),
  column("sketch", "bigint[]", "sketch"),
];

function key(name: string, sqlType: string): RollupColumn {
  return { ...column(name, sqlType, "key"), constraint: " NOT NULL" };
}

function add(name: string, sqlType: string): RollupColumn {
  return { ...column(name, sqlType, "add"), constraint: " NOT NULL DEFAULT 0" };
}

function column(name: string, sqlType: string, merge: RollupMerge): RollupColumn {
  return { name: quoteIdentifier(name), sqlType, constraint: "", merge };
}
