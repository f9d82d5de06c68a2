import { ColumnReader, columnReaders } from "../encode/column-reader.ts";
import { timestamptz } from "../schema/columns.ts";
import type { UpsertDefinition } from "../schema/upsert.ts";

/** Reads what an upsert needs from records. */
export interface UpsertReaders {
  readonly key: readonly ColumnReader[];
  readonly occurredAt: ColumnReader;
  readonly latest: readonly ColumnReader[];
  /** Fields that are not unknown, when the upsert keeps the unknown ones. */
  readonly knownFields: ReadonlySet<string> | undefined;
}

/** Compiles the readers of an upsert. */
export function upsertReaders(upsert: UpsertDefinition): UpsertReaders {
  const key = columnReaders(upsert.key);
  const latest = columnReaders(upsert.latest);
  const occurredAt = new ColumnReader(
    "last_seen_at",
    timestamptz(upsert.occurredAt, { required: true }),
  );
  const fields = [...key, occurredAt, ...latest].map(({ field }) => field);
  return {
    key,
    occurredAt,
    latest,
    knownFields: upsert.keepUnknownFields ? new Set(["t", ...fields]) : undefined,
  };
}
