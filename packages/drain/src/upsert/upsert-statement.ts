import { type Merge, withAlerts } from "../alerts/outbox-sql.ts";
import { microsecondsText } from "../encode/timestamp-text.ts";
import { UNKNOWN_FIELDS } from "../encode/unknown-fields.ts";
import { sqlType } from "../schema/ddl.ts";
import { quoteIdentifier } from "../schema/identifier.ts";
import type { UpsertDefinition } from "../schema/upsert.ts";
import type { UpsertRow } from "./upsert-row.ts";

/** A statement with its parameters, as node-postgres takes it. */
export interface UpsertStatement {
  readonly text: string;
  /** One array a column. */
  readonly values: Array<Array<string | null>>;
}

/** How a column merges with what is stored. */
type ColumnMerge = "key" | "add" | "least" | "greatest" | "latest";

interface MergedColumn {
  readonly name: string;
  readonly sqlType: string;
  readonly merge: ColumnMerge;
}

/**
 * The `INSERT ... ON CONFLICT DO UPDATE` of an upsert table: one `text[]` parameter a column, cast in
 * the statement. Rows are inserted, and so locked, in the order of the arrays.
 */
export function upsertSql(upsert: UpsertDefinition): string {
  const columns = mergedColumns(upsert);
  const names = columns.map(({ name }) => quoteIdentifier(name));
  const keys = columns
    .filter(({ merge }) => merge === "key")
    .map(({ name }) => quoteIdentifier(name));
  const updates = columns.filter(({ merge }) => merge !== "key").map(updateOf);
  const values = columns.map(({ sqlType: type }, index) => `value${index + 1}::${type}`);
  const parameters = columns.map((_, index) => `$${index + 1}::text[]`);
  const aliases = columns.map((_, index) => `value${index + 1}`);
  const merge: Merge = { table: quoteIdentifier(upsert.name), names, values, updates };
  const sql = ({ table, names: into, values: from, updates: set }: Merge) =>
    [
      `INSERT INTO ${table} AS stored (${into.join(", ")})`,
      `SELECT ${from.join(", ")}`,
      `FROM unnest(${parameters.join(", ")}) AS batch (${aliases.join(", ")})`,
      `ON CONFLICT (${keys.join(", ")}) DO UPDATE SET ${set.join(", ")}`,
    ].join("\n");
  return upsert.alerts === true ? withAlerts(upsert, merge, sql) : sql(merge);
}

/** The parameters of {@link upsertSql} for `rows`, in their order. */
export function upsertValues(rows: readonly UpsertRow[]): Array<Array<string | null>> {
  const perRow = rows.map(({ key, counts, firstSeenAt, lastSeenAt, latest }) => [
    ...key,
    ...counts.map(String),
    microsecondsText(firstSeenAt) ?? null,
    microsecondsText(lastSeenAt) ?? null,
    ...latest,
  ]);
  return (perRow[0] ?? []).map((_, column) => perRow.map((values) => values[column] ?? null));
}

function mergedColumns(upsert: UpsertDefinition): MergedColumn[] {
  return [
    { name: "token", sqlType: "text", merge: "key" },
    ...declared(upsert.key, "key"),
    ...Object.keys(upsert.counts).map((name) => ({
      name,
      sqlType: "bigint",
      merge: "add" as const,
    })),
    { name: "first_seen_at", sqlType: "timestamptz", merge: "least" },
    { name: "last_seen_at", sqlType: "timestamptz", merge: "greatest" },
    ...declared(upsert.latest, "latest"),
    ...(upsert.keepUnknownFields
      ? [{ name: UNKNOWN_FIELDS, sqlType: "jsonb", merge: "latest" as const }]
      : []),
  ];
}

function declared(columns: UpsertDefinition["key"], merge: ColumnMerge): MergedColumn[] {
  return Object.entries(columns).map(([name, { type }]) => ({
    name,
    sqlType: sqlType(type),
    merge,
  }));
}

function updateOf({ name, merge }: MergedColumn): string {
  const column = quoteIdentifier(name);
  switch (merge) {
    case "add":
      return `${column} = stored.${column} + excluded.${column}`;
    case "least":
      return `${column} = LEAST(stored.${column}, excluded.${column})`;
    case "greatest":
      return `${column} = GREATEST(stored.${column}, excluded.${column})`;
    case "latest":
      return `${column} = CASE WHEN excluded.last_seen_at >= stored.last_seen_at THEN excluded.${column} ELSE stored.${column} END`;
    case "key":
      throw new TypeError(`${name} is a key column, which does not change`);
    default:
      return merge satisfies never;
  }
}
