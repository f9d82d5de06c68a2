import { rollupChecks } from "../rollups/rollup-readers.ts";
import { checkSchema, type DrainSchema } from "../schema/drain-schema.ts";
import { type UpsertReaders, upsertReaders } from "../upsert/upsert-readers.ts";
import { type CompiledTable, compileTable } from "./compiled-table.ts";
import { compileEventsTable } from "./events-encoder.ts";
import { RecordRefused, showValue } from "./record-refused.ts";
import { compileUpsertOnly } from "./upsert-only.ts";

/** Finds where a record goes. */
export interface Router {
  /** Every place that records can go to. */
  readonly tables: readonly CompiledTable[];
  /**
   * The table for the record's type; `millrace_events` for a type that is unknown or missing.
   *
   * @throws {@link RecordRefused} when the record is not a JSON object.
   */
  route(record: unknown): CompiledTable;
}

/**
 * Compiles the encoders of a schema. Compile once per thread: the encoders hold a little state.
 *
 * @throws {@link MillraceError} `DRAIN_TABLE_INVALID`.
 */
export function compileRouter(schema: DrainSchema): Router {
  checkSchema(schema);
  const byType = new Map<string, CompiledTable>();
  for (const table of schema.tables) {
    byType.set(table.match.t, compileTable(table, readersOf(schema, table.match.t)));
  }
  for (const upsert of schema.upserts) {
    for (const type of upsert.match.t) {
      if (byType.has(type)) continue;
      byType.set(type, compileUpsertOnly(upsert.name, readersOf(schema, type)));
    }
  }
  for (const { name, match } of schema.rollups ?? []) {
    if (byType.has(match.t)) continue;
    byType.set(match.t, compileUpsertOnly(name, readersOf(schema, match.t)));
  }
  const events = compileEventsTable();
  return {
    tables: [...byType.values(), events],
    route(record) {
      if (typeof record !== "object" || record === null || Array.isArray(record)) {
        throw new RecordRefused(`expected an object, got ${showValue(record)}`);
      }
      const type: unknown = (record as Record<string, unknown>)["t"];
      return (typeof type === "string" ? byType.get(type) : undefined) ?? events;
    },
  };
}

/** Readers of what the upserts and rollups read from records of one type. */
function readersOf(schema: DrainSchema, type: string): UpsertReaders[] {
  return [
    ...schema.upserts.filter(({ match }) => match.t.includes(type)).map(upsertReaders),
    ...(schema.rollups ?? []).filter(({ match }) => match.t === type).map(rollupChecks),
  ];
}
