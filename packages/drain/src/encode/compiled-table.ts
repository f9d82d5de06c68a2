import { quoteIdentifier } from "../schema/identifier.ts";
import { OWN_COLUMNS, type TableDefinition } from "../schema/table.ts";
import { type ColumnReader, columnReaders } from "./column-reader.ts";
import { COPY_NULL, copyText } from "./copy-text.ts";
import { metaEncoder, type RecordMeta } from "./record-meta.ts";
import { unknownFieldsText } from "./unknown-fields.ts";
import { upsertCheck } from "./upsert-check.ts";
import type { UpsertReaders } from "../upsert/upsert-readers.ts";

/** Where records of one type go, ready to encode them. */
export interface CompiledTable {
  readonly name: string;
  /** The COPY that takes the lines; undefined when the records only go to upserts. */
  readonly copySql: string | undefined;
  /**
   * The record as one line of COPY text, with its line feed; `""` when it only goes to upserts.
   *
   * Also checks what the upserts of its type will read, so that collecting cannot fail any more.
   *
   * @throws {@link RecordRefused}
   */
  encode(record: Readonly<Record<string, unknown>>, meta: RecordMeta): string;
}

/**
 * Compiles the encoder of a declared table.
 *
 * @param upserts - those that read the same records.
 */
export function compileTable(
  table: TableDefinition,
  upserts: readonly UpsertReaders[] = [],
): CompiledTable {
  const columns = columnReaders(table.columns);
  const fields = columns.map(({ field }) => field);
  const isFirstOfField = fields.map((field, index) => fields.indexOf(field) === index);
  const known = new Set([...fields, "t"]);
  /** `t` is in every record that comes here. */
  const typeFields = fields.includes("t") ? 0 : 1;
  const checkUpserts = upsertCheck(upserts, columns);
  const encodeMeta = metaEncoder();

  return {
    name: table.name,
    copySql: copyStatement(table.name, [...Object.keys(table.columns), ...OWN_COLUMNS]),
    encode(record, meta) {
      let line = "";
      let knownFields = typeFields;
      for (let index = 0; index < columns.length; index++) {
        const column = columns[index] as ColumnReader;
        const value = record[column.field];
        if (value !== undefined && isFirstOfField[index] === true) knownFields++;
        const text = column.read(value);
        line += text === null ? COPY_NULL : column.needsEscape ? copyText(text) : text;
        line += "\t";
      }
      checkUpserts(record);
      // Counting is several times cheaper than looking every field up, and nearly always enough.
      const unknown = fieldCount(record) === knownFields ? null : unknownFieldsText(record, known);
      return `${line}${encodeMeta(meta)}\t${unknown === null ? COPY_NULL : copyText(unknown)}\n`;
    },
  };
}

/** `COPY "x" ("a", "b") FROM STDIN`. */
export function copyStatement(table: string, columns: readonly string[]): string {
  return `COPY ${quoteIdentifier(table)} (${columns.map(quoteIdentifier).join(", ")}) FROM STDIN`;
}

function fieldCount(record: Readonly<Record<string, unknown>>): number {
  let count = 0;
  // eslint-disable-next-line guard-for-in -- records come from JSON.parse: nothing is inherited
  for (const _ in record) count++;
  return count;
}
