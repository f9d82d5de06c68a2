import { ColumnReader, columnReaders } from "../encode/column-reader.ts";
import { bigint, timestamptz } from "../schema/columns.ts";
import type { UpsertReaders } from "../upsert/upsert-readers.ts";
import type { RollupDefinition } from "./rollup.ts";

/** Reads what a rollup needs from records. */
export interface RollupReaders {
  readonly key: readonly ColumnReader[];
  readonly occurredAt: ColumnReader;
  readonly duration: ColumnReader | undefined;
  readonly latest: readonly ColumnReader[];
}

/** Compiles the readers of a rollup. */
export function rollupReaders({
  key,
  occurredAt,
  duration,
  latest,
}: RollupDefinition): RollupReaders {
  return {
    key: columnReaders(key),
    occurredAt: new ColumnReader("bucket", timestamptz(occurredAt, { required: true })),
    duration:
      duration === undefined ? undefined : new ColumnReader("duration_us_sum", bigint(duration)),
    latest: columnReaders(latest),
  };
}

/** The same readers for the check that a record can be read, which is the one of upserts. */
export function rollupChecks(rollup: RollupDefinition): UpsertReaders {
  const { key, occurredAt, duration, latest } = rollupReaders(rollup);
  return {
    key,
    occurredAt,
    latest: duration === undefined ? latest : [...latest, duration],
    knownFields: undefined,
  };
}
