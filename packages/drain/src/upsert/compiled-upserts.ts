import type { RecordMeta } from "../encode/record-meta.ts";
import { checkSchema, type DrainSchema } from "../schema/drain-schema.ts";
import { type CompiledUpsert, compileUpsert, type UpsertRows } from "./compiled-upsert.ts";
import type { UpsertStatement } from "./upsert-statement.ts";

/** What the records of a batch add to the upsert tables. */
export type UpsertGroups = Map<CompiledUpsert, UpsertRows>;

/** All upsert tables of a schema, ready to merge records. */
export interface CompiledUpserts {
  /** Empty groups for one batch. */
  createGroups(): UpsertGroups;
  /**
   * Adds a record to the rows of every upsert table that its type is for.
   *
   * @throws {@link RecordRefused} never for a record that its table has encoded.
   */
  collect(groups: UpsertGroups, record: Readonly<Record<string, unknown>>, meta: RecordMeta): void;
  /** The statements that merge the groups, in the one order that all drains keep. */
  statements(groups: UpsertGroups): UpsertStatement[];
}

/**
 * Compiles the upserts of a schema.
 *
 * Tables go by name and rows by key, in every process: whoever locks rows in one order cannot
 * deadlock.
 *
 * @throws {@link MillraceError} `DRAIN_TABLE_INVALID`.
 */
export function compileUpserts(schema: DrainSchema): CompiledUpserts {
  checkSchema(schema);
  const upserts = schema.upserts
    .map(compileUpsert)
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
  const byType = new Map<unknown, CompiledUpsert[]>();
  for (const upsert of upserts) {
    for (const type of upsert.types) byType.set(type, [...(byType.get(type) ?? []), upsert]);
  }

  return {
    createGroups: () => new Map(upserts.map((upsert) => [upsert, new Map()])),
    collect(groups, record, meta) {
      for (const upsert of byType.get(record["t"]) ?? []) {
        const rows = groups.get(upsert);
        if (rows !== undefined) upsert.collect(rows, record, meta);
      }
    },
    statements: (groups) =>
      upserts.flatMap((upsert) => upsert.statements(groups.get(upsert) ?? new Map())),
  };
}
