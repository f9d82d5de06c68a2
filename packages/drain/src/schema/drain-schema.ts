import { checkRollup, type RollupDefinition } from "../rollups/rollup.ts";
import { tableInvalid } from "./definition-check.ts";
import { isPartitionName } from "./partition-by.ts";
import { checkTable, type TableDefinition } from "./table.ts";
import { checkUpsert, type UpsertDefinition } from "./upsert.ts";

/** Everything that a drain lands records in; plain data that can be cloned to another thread. */
export interface DrainSchema {
  readonly tables: readonly TableDefinition[];
  readonly upserts: readonly UpsertDefinition[];
  /** @default [] */
  readonly rollups?: readonly RollupDefinition[] | undefined;
}

/**
 * One schema of several, as the tables of `nightwatch()`, of `otel()` and of your own.
 *
 * @example
 * ```ts
 * import { combineSchemas } from "@millrace/drain";
 * import { nightwatch } from "@millrace/drain/nightwatch";
 * import { otel } from "@millrace/drain/otel";
 *
 * export const schema = combineSchemas(nightwatch(), otel());
 * ```
 */
export function combineSchemas(
  ...schemas: ReadonlyArray<DrainSchema | readonly TableDefinition[]>
): DrainSchema {
  const whole = schemas.map((schema) =>
    "tables" in schema ? schema : { tables: schema, upserts: [] },
  );
  return {
    tables: whole.flatMap(({ tables }) => tables),
    upserts: whole.flatMap(({ upserts }) => upserts),
    rollups: whole.flatMap((schema) => schema.rollups ?? []),
  };
}

/**
 * Checks each declaration and that they agree with one another.
 *
 * @throws {@link MillraceError} `DRAIN_TABLE_INVALID`, also for two tables of one name or two
 * tables for one record type.
 */
export function checkSchema(schema: DrainSchema): void {
  const names = new Set<string>();
  const types = new Map<string, string>();
  for (const table of schema.tables) {
    checkTable(table);
    claimName(names, table.name);
    const other = types.get(table.match.t);
    if (other !== undefined) {
      throw tableInvalid(table.name, `records of type ${table.match.t} already land in ${other}`);
    }
    types.set(table.match.t, table.name);
  }
  for (const upsert of schema.upserts) {
    checkUpsert(upsert);
    claimName(names, upsert.name);
  }
  for (const rollup of schema.rollups ?? []) {
    checkRollup(rollup);
    claimName(names, rollup.name);
  }
  for (const { name, partitionBy } of schema.tables) {
    const other = [...names].find((taken) => isPartitionName(name, taken));
    if (partitionBy !== undefined && other !== undefined) {
      throw tableInvalid(other, `partitions of ${name} may be called so: choose another name`);
    }
  }
}

function claimName(names: Set<string>, name: string): void {
  if (names.has(name)) throw tableInvalid(name, "the name is declared twice");
  names.add(name);
}
