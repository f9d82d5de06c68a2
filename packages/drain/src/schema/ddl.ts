import { rollupStatements } from "../rollups/rollup-ddl.ts";
import { ALERT_STATEMENTS } from "./alert-tables.ts";
import { EVENTS_TABLE } from "./events-table.ts";
import type { ColumnDefinition, ColumnType } from "./columns.ts";
import type { DrainSchema } from "./drain-schema.ts";
import { quoteIdentifier, shortenIdentifier } from "./identifier.ts";
import { defaultPartitionName } from "./partition-by.ts";
import type { IndexDefinition, TableDefinition } from "./table.ts";
import type { UpsertDefinition } from "./upsert.ts";

const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
  text: "text",
  integer: "integer",
  bigint: "bigint",
  boolean: "boolean",
  double: "double precision",
  timestamptz: "timestamptz",
  jsonb: "jsonb",
  "text[]": "text[]",
  uuid: "uuid",
};

/** PostgreSQL's name of a column type. */
export function sqlType(type: ColumnType): string {
  return SQL_TYPES[type];
}

/**
 * The statements that create every table and index of `schema` and the table of unknown records, and
 * add the columns that a declaration has gained; each does nothing when its object exists.
 *
 * `IF NOT EXISTS` alone does not protect from two sessions that create at once: hold a lock.
 */
export function tableStatements(schema: DrainSchema): string[] {
  return [
    ...schema.tables.flatMap(copyTableStatements),
    ...schema.upserts.flatMap(upsertTableStatements),
    ...rollupStatements(schema.rollups ?? []),
    ...eventsTableStatements(),
    ...(schema.upserts.some(({ alerts }) => alerts === true) ? ALERT_STATEMENTS : []),
  ];
}

function copyTableStatements(table: TableDefinition): string[] {
  return [
    createTable(
      table.name,
      [
        ...columnLines(table.columns),
        "received_at timestamptz NOT NULL",
        "token text NOT NULL",
        "unknown_fields jsonb",
      ],
      partitionClause(table),
    ),
    ...(table.partitionBy === undefined ? [] : [createDefaultPartition(table.name)]),
    ...addColumns(table.name, columnLines(table.columns, "nullable")),
    ...table.indexes.map((index) => createIndex(table.name, index)),
  ];
}

function upsertTableStatements(upsert: UpsertDefinition): string[] {
  const counts = Object.keys(upsert.counts).map(
    (name) => `${quoteIdentifier(name)} bigint NOT NULL DEFAULT 0`,
  );
  const unknownFields = upsert.keepUnknownFields ? ["unknown_fields jsonb"] : [];
  const alerts = upsert.alerts === true ? ALERT_COLUMNS : [];
  return [
    createTable(upsert.name, [
      "token text NOT NULL",
      ...columnLines(upsert.key, "not null"),
      ...counts,
      "first_seen_at timestamptz NOT NULL",
      "last_seen_at timestamptz NOT NULL",
      ...columnLines(upsert.latest),
      ...unknownFields,
      ...alerts,
      `PRIMARY KEY (${["token", ...Object.keys(upsert.key)].map(quoteIdentifier).join(", ")})`,
    ]),
    ...addColumns(upsert.name, [
      ...counts,
      ...columnLines(upsert.latest, "nullable"),
      ...unknownFields,
      ...alerts,
    ]),
  ];
}

/** `alerted_in` is the statement that wrote the row's last alert: no other column tells which one did. */
const ALERT_COLUMNS: readonly string[] = [
  "status text NOT NULL DEFAULT 'open'",
  "resolved_at timestamptz",
  "reopened_at timestamptz",
  "alerted_in uuid",
];

function eventsTableStatements(): string[] {
  return [
    createTable(EVENTS_TABLE, [
      "type text",
      "occurred_at timestamptz",
      "received_at timestamptz NOT NULL",
      "token text NOT NULL",
      "record jsonb NOT NULL",
    ]),
    createIndex(EVENTS_TABLE, { columns: ["received_at"], method: "brin" }),
  ];
}

function columnLines(
  columns: Readonly<Record<string, ColumnDefinition>>,
  nullability: "declared" | "nullable" | "not null" = "declared",
): string[] {
  return Object.entries(columns).map(([name, { type, required }]) => {
    const isNotNull = nullability === "declared" ? required === true : nullability === "not null";
    return `${quoteIdentifier(name)} ${sqlType(type)}${isNotNull ? " NOT NULL" : ""}`;
  });
}

/** Rows from before a column existed have no value for it, so it is added without NOT NULL. */
function addColumns(table: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  const additions = lines.map((line) => `ADD COLUMN IF NOT EXISTS ${line}`);
  return [`ALTER TABLE ${quoteIdentifier(table)}\n  ${additions.join(",\n  ")}`];
}

function createTable(name: string, lines: readonly string[], clause = ""): string {
  return `CREATE TABLE IF NOT EXISTS ${quoteIdentifier(name)} (\n  ${lines.join(",\n  ")}\n)${clause}`;
}

function partitionClause({ partitionBy }: TableDefinition): string {
  return partitionBy === undefined
    ? ""
    : ` PARTITION BY RANGE (${quoteIdentifier(partitionBy.column)})`;
}

/**
 * So that no row is without a place; the partitions by time are the maintainer's.
 *
 * Not for a table that exists unpartitioned, nor for one whose default partition has another name.
 */
function createDefaultPartition(table: string): string {
  return `DO $$ BEGIN
  IF EXISTS (
    SELECT FROM pg_partitioned_table WHERE partrelid = to_regclass('${table}') AND partdefid = 0
  ) THEN
    CREATE TABLE IF NOT EXISTS ${quoteIdentifier(defaultPartitionName(table))}
      PARTITION OF ${quoteIdentifier(table)} DEFAULT;
  END IF;
END $$`;
}

function createIndex(table: string, { columns, method = "btree" }: IndexDefinition): string {
  const suffix = method === "brin" ? "brin" : "idx";
  const name = shortenIdentifier(`${table}_${columns.join("_")}_${suffix}`);
  const list = columns.map(quoteIdentifier).join(", ");
  return `CREATE INDEX IF NOT EXISTS ${quoteIdentifier(name)} ON ${quoteIdentifier(table)} USING ${method} (${list})`;
}
