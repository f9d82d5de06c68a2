import type { RecordMeta } from "../encode/record-meta.ts";
import { compileRollup } from "../rollups/compiled-rollup.ts";
import { checkSchema, type DrainSchema } from "../schema/drain-schema.ts";
import type { UpsertDefinition } from "../schema/upsert.ts";
import { compileUpsert, type UpsertRows } from "./compiled-upsert.ts";
import type { UpsertStatement } from "./upsert-statement.ts";

/** A table that records are merged into: an upsert or a rollup. */
interface MergedTable {
  readonly name: string;
  readonly types: readonly string[];
  createGroup(): MergedGroup;
}

/** What the records of a batch add to one table. */
interface MergedGroup {
  collect(record: Readonly<Record<string, unknown>>, meta: RecordMeta): void;
  statements(): UpsertStatement[];
}

/** What the records of a batch add to the upsert and rollup tables. */
export type UpsertGroups = Map<MergedTable, MergedGroup>;

/** All upsert and rollup tables of a schema, ready to merge records. */
export interface CompiledUpserts {
  /** Empty groups for one batch. */
  createGroups(): UpsertGroups;
  /**
   * Adds a record to the rows of every table that its type is for.
   *
   * @throws {@link RecordRefused} never for a record that its table has encoded.
   */
  collect(groups: UpsertGroups, record: Readonly<Record<string, unknown>>, meta: RecordMeta): void;
  /** The statements that merge the groups, in the one order that all drains keep. */
  statements(groups: UpsertGroups): UpsertStatement[];
}

/**
 * Compiles the upserts and rollups of a schema.
 *
 * Tables go by name and rows by key, in every process: whoever locks rows in one order cannot
 * deadlock.
 *
 * @throws {@link MillraceError} `DRAIN_TABLE_INVALID`.
 */
export function compileUpserts(schema: DrainSchema): CompiledUpserts {
  checkSchema(schema);
  const tables = [
    ...schema.upserts.map(mergedUpsert),
    ...(schema.rollups ?? []).map(compileRollup),
  ].toSorted((left, right) => (left.name < right.name ? -1 : 1));
  const byType = new Map<unknown, MergedTable[]>();
  for (const table of tables) {
    for (const type of table.types) byType.set(type, [...(byType.get(type) ?? []), table]);
  }

  return {
    createGroups: () => new Map(tables.map((table) => [table, table.createGroup()])),
    collect(groups, record, meta) {
      for (const table of byType.get(record["t"]) ?? []) groups.get(table)?.collect(record, meta);
    },
    statements: (groups) => tables.flatMap((table) => groups.get(table)?.statements() ?? []),
  };
}

function mergedUpsert(definition: UpsertDefinition): MergedTable {
  const upsert = compileUpsert(definition);
  return {
    name: upsert.name,
    types: upsert.types,
    createGroup: () => {
      const rows: UpsertRows = new Map();
      return {
        collect: (record, meta) => upsert.collect(rows, record, meta),
        statements: () => upsert.statements(rows),
      };
    },
  };
}
