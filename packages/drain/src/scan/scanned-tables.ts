import type { Router } from "../encode/router.ts";
import type { DrainSchema } from "../schema/drain-schema.ts";
import { rollupChecks } from "../rollups/rollup-readers.ts";
import { upsertReaders } from "../upsert/upsert-readers.ts";
import { ScannedTable } from "./scanned-table.ts";

/**
 * Tables for records that are scanned, of the types that one can be scanned of: not of those that are
 * merged with all fields that nobody has declared.
 */
export function compileScannedTables(schema: DrainSchema, router: Router): ScannedTable[] {
  return schema.tables.flatMap((definition) => {
    const type = definition.match.t;
    const table = router.tables.find(({ name }) => name === definition.name);
    const upserts = schema.upserts.filter(({ match }) => match.t.includes(type));
    const rollups = (schema.rollups ?? []).filter(({ match }) => match.t === type);
    const readers = [...upserts.map(upsertReaders), ...rollups.map(rollupChecks)];
    const mergedFields = new Set([
      ...(readers.length === 0 ? [] : ["t"]),
      ...readers.flatMap(({ key, occurredAt, latest }) =>
        [...key, occurredAt, ...latest].map(({ field }) => field),
      ),
      ...upserts.flatMap(({ counts }) => Object.values(counts).flatMap(Object.keys)),
      ...rollups.flatMap(({ errors }) => errors?.field ?? []),
    ]);
    const isWhole = readers.some(({ knownFields }) => knownFields !== undefined);
    // As the name of a property it would not be one.
    if (table === undefined || isWhole || mergedFields.has("__proto__")) return [];
    return [new ScannedTable(table, definition, readers, mergedFields)];
  });
}
