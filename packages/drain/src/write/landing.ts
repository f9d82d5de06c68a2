import type { Client } from "pg";
import type { EncodedRecord } from "../batch/segments.ts";
import type { CompiledUpserts, UpsertGroups } from "../upsert/compiled-upserts.ts";
import { copyIn } from "./copy.ts";

/** A COPY that failed, with its records in the order of its lines. */
export class CopyRefused extends Error {
  readonly records: readonly EncodedRecord[];

  constructor(records: readonly EncodedRecord[], cause: unknown) {
    super("COPY was refused", { cause });
    this.records = records;
  }
}

/** One COPY a table. @throws {@link CopyRefused} */
export async function copyRecords(
  client: Client,
  records: readonly EncodedRecord[],
): Promise<void> {
  for (const [table, rows] of Map.groupBy(records, (record) => record.table)) {
    if (table.copySql === undefined) continue;
    try {
      await copyIn(client, table.copySql, Buffer.from(rows.map(({ line }) => line).join("")));
    } catch (error) {
      throw new CopyRefused(rows, error);
    }
  }
}

/** Adds records to the rows that they are merged into. */
export function collect(
  upserts: CompiledUpserts,
  groups: UpsertGroups,
  records: readonly EncodedRecord[],
): void {
  for (const { record, meta } of records) upserts.collect(groups, record, meta);
}

/** Merges what {@link collect} has gathered. */
export async function runUpserts(
  client: Client,
  upserts: CompiledUpserts,
  groups: UpsertGroups,
): Promise<void> {
  for (const statement of upserts.statements(groups)) await client.query(statement);
}
