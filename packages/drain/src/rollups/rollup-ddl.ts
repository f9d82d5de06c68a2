import { quoteIdentifier } from "../schema/identifier.ts";
import { type RollupColumn, rollupColumns } from "./rollup-columns.ts";
import type { RollupDefinition } from "./rollup.ts";
import { SKETCH_FUNCTION_STATEMENTS } from "./sketch-functions.ts";

/**
 * Free space of a page, in per cent: rows are updated with nearly every batch, and a new version on the
 * same page needs no entry in the index.
 */
const FILL_FACTOR = 70;

/** The statements that create the tables of rollups and the functions that merge them; may run again. */
export function rollupStatements(rollups: readonly RollupDefinition[]): string[] {
  if (rollups.length === 0) return [];
  return [...SKETCH_FUNCTION_STATEMENTS, ...rollups.flatMap(tableStatements)];
}

function tableStatements(rollup: RollupDefinition): string[] {
  const table = quoteIdentifier(rollup.name);
  const columns = rollupColumns(rollup);
  const keys = columns.filter(({ merge }) => merge === "key");
  const others = columns.filter(({ merge }) => merge !== "key");
  const primaryKey = `PRIMARY KEY (${keys.map(({ name }) => name).join(", ")})`;
  return [
    `CREATE TABLE IF NOT EXISTS ${table} (\n  ${[...columns.map(line), primaryKey].join(",\n  ")}\n) WITH (fillfactor = ${FILL_FACTOR})`,
    `ALTER TABLE ${table}\n  ${others.map((column) => `ADD COLUMN IF NOT EXISTS ${line(column)}`).join(",\n  ")}`,
  ];
}

function line({ name, sqlType, constraint }: RollupColumn): string {
  return `${name} ${sqlType}${constraint}`;
}
