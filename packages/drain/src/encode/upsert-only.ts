import type { UpsertReaders } from "../upsert/upsert-readers.ts";
import type { CompiledTable } from "./compiled-table.ts";
import { upsertCheck } from "./upsert-check.ts";

/**
 * Compiles the check of records that no table takes.
 *
 * @param name - of the table that the records are merged into.
 */
export function compileUpsertOnly(name: string, upserts: readonly UpsertReaders[]): CompiledTable {
  const checkUpserts = upsertCheck(upserts);
  return {
    name,
    copySql: undefined,
    encode(record) {
      checkUpserts(record);
      return "";
    },
  };
}
