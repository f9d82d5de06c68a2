import { checkColumns, checkRecordType, checkTableName, tableInvalid } from "./definition-check.ts";
import type { ColumnDefinition } from "./columns.ts";
import { checkPartitionBy, type PartitionBy } from "./partition-by.ts";

/** An index of a declared table; plain data. */
export interface IndexDefinition {
  /** Names of columns, in order. */
  readonly columns: readonly string[];
  /**
   * `brin` is tiny and fits columns that grow with time, as `occurred_at`.
   *
   * @default "btree"
   */
  readonly method?: "btree" | "brin" | undefined;
}

/** Which records land where, and how; plain data that can be cloned to another thread. */
export interface TableDefinition {
  readonly name: string;
  /** Records whose field `t` equals this land in the table. */
  readonly match: { readonly t: string };
  /** Column name to definition. */
  readonly columns: Readonly<Record<string, ColumnDefinition>>;
  readonly indexes: readonly IndexDefinition[];
  /** How the table is split by time; not at all when undefined. */
  readonly partitionBy?: PartitionBy | undefined;
}

/** What {@link defineTable} takes besides the name. */
export interface TableOptions {
  /** Records whose field `t` equals this land in the table. */
  readonly match: { readonly t: string };
  /** Column name to what a column builder returned. */
  readonly columns: Readonly<Record<string, ColumnDefinition>>;
  /** @default [] */
  readonly indexes?: readonly IndexDefinition[] | undefined;
  /**
   * Split the table by time into partitions, which the drain makes ahead and drops when they are too
   * old. A table that exists unpartitioned stays so.
   *
   * @default undefined: one table
   */
  readonly partitionBy?: PartitionBy | undefined;
}

/** Columns that every declared table has besides its own. */
export const OWN_COLUMNS: readonly string[] = ["received_at", "token", "unknown_fields"];

/**
 * Declares a table that records of one type are copied to.
 *
 * Every table gets three more columns: `received_at` (`timestamptz`, when the payload arrived),
 * `token` (`text`, the name of the sender's token) and `unknown_fields` (`jsonb`, what the record
 * holds besides the declared fields, NULL when nothing).
 *
 * @example
 * ```ts
 * import { bigint, defineTable, text, timestamptz } from "@millrace/drain";
 *
 * defineTable("page_views", {
 *   match: { t: "page-view" },
 *   columns: {
 *     occurred_at: timestamptz("timestamp", { required: true }),
 *     url: text("url"),
 *     duration_us: bigint("duration"),
 *   },
 *   indexes: [{ columns: ["occurred_at"], method: "brin" }],
 *   partitionBy: { column: "occurred_at", interval: "day", retain: "90 days" },
 * });
 * ```
 *
 * @throws {@link MillraceError} `DRAIN_TABLE_INVALID` for names that PostgreSQL would not keep,
 * unknown types, an index on a column that is not there, or partitions by a column that may be NULL.
 */
export function defineTable(name: string, options: TableOptions): TableDefinition {
  const table = {
    name,
    match: { t: options.match.t },
    columns: { ...options.columns },
    indexes: [...(options.indexes ?? [])],
    ...(options.partitionBy !== undefined && { partitionBy: { ...options.partitionBy } }),
  };
  checkTable(table);
  return table;
}

/** @throws {@link MillraceError} `DRAIN_TABLE_INVALID`. */
export function checkTable(table: TableDefinition): void {
  checkTableName(table.name);
  checkRecordType(table.name, table.match?.t);
  checkColumns(table.name, table.columns, OWN_COLUMNS);
  for (const index of table.indexes) checkIndex(table, index);
  if (table.partitionBy !== undefined) {
    checkPartitionBy(table.name, table.columns, table.partitionBy);
  }
}

function checkIndex(table: TableDefinition, index: IndexDefinition): void {
  const method = index.method ?? "btree";
  if (method !== "btree" && method !== "brin") {
    throw tableInvalid(table.name, `an index is btree or brin, not ${String(method)}`);
  }
  if (index.columns.length === 0) throw tableInvalid(table.name, "an index needs a column");
  for (const column of index.columns) {
    if (!Object.hasOwn(table.columns, column) && !OWN_COLUMNS.includes(column)) {
      throw tableInvalid(table.name, `an index names the column ${column}, which is not declared`);
    }
  }
}
