import type { UpsertReaders } from "../upsert/upsert-readers.ts";
import type { ColumnReader } from "./column-reader.ts";
import { unknownFieldsText } from "./unknown-fields.ts";

/**
 * A check that a record is one that every one of `upserts` can read.
 *
 * @param read - columns that are read anyway; what they cover costs nothing here.
 */
export function upsertCheck(
  upserts: readonly UpsertReaders[],
  read: readonly ColumnReader[] = [],
): (record: Readonly<Record<string, unknown>>) => void {
  const readers = upserts
    .flatMap(({ key, occurredAt, latest }) => [...key, occurredAt, ...latest])
    .filter((reader) => !read.some((column) => covers(column, reader)));
  const knownFields = upserts.flatMap((upsert) => upsert.knownFields ?? []);
  return (record) => {
    for (const reader of readers) reader.read(record[reader.field]);
    for (const known of knownFields) unknownFieldsText(record, known);
  };
}

/** Whether every value that `column` takes is one that `other` takes. */
function covers(column: ColumnReader, other: ColumnReader): boolean {
  return (
    column.field === other.field &&
    column.type === other.type &&
    (!other.required || (column.required && (column.emptyAsNull || !other.emptyAsNull)))
  );
}
