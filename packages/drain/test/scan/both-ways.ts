import type { ClaimedBatch } from "@millrace/core/buffer";
import { readCopySegments } from "../../src/batch/copy-segments.ts";
import { CopyTextPool } from "../../src/batch/copy-text-pool.ts";
import { ScannedPayloads } from "../../src/batch/scanned-payloads.ts";
import { readSegments } from "../../src/batch/segments.ts";
import { compileRouter } from "../../src/encode/router.ts";
import { compileScannedTables } from "../../src/scan/scanned-tables.ts";
import type { DrainSchema } from "../../src/schema/drain-schema.ts";
import { compileUpserts } from "../../src/upsert/compiled-upserts.ts";
import type { DeadLetter } from "../../src/write/dead-letters.ts";

const LIMITS = {
  maxInflatedBytes: 1_000_000,
  maxTextBytes: 9_000_000,
  maxRecordHeapBytes: 5_000_000,
  segmentLength: 1_000_000,
};

/** All that lands of a batch. */
export interface Outcome {
  /** COPY text by table. */
  lines: Record<string, string>;
  deadLetters: DeadLetter[];
  /** Parameters of the statements that merge. */
  merged: unknown;
}

/** Reads batches of a schema's records as the drain does, and as it does where rows are refused. */
export function bothWays(schema: DrainSchema) {
  const router = compileRouter(schema);
  const upserts = compileUpserts(schema);
  const plainUpserts = compileUpserts(schema);
  const scanned = new ScannedPayloads(compileScannedTables(schema, router));
  const pool = new CopyTextPool();
  return {
    scanning(batch: ClaimedBatch, segmentLength: number = LIMITS.segmentLength): Outcome {
      const groups = upserts.createGroups();
      const outcome = nothing();
      const limits = { ...LIMITS, segmentLength };
      for (const segment of readCopySegments(batch, router, scanned, limits, pool, (fields, meta) =>
        upserts.collect(groups, fields, meta),
      )) {
        for (const [table, text] of segment.tables) {
          add(outcome, table.name, text.bytes().toString());
          pool.giveBack(table, text);
        }
        outcome.deadLetters.push(...segment.deadLetters);
      }
      outcome.merged = upserts.statements(groups).map(({ values }) => values);
      return outcome;
    },
    recordByRecord(batch: ClaimedBatch): Outcome {
      const groups = plainUpserts.createGroups();
      const outcome = nothing();
      for (const { records, deadLetters } of readSegments(batch, router, LIMITS)) {
        for (const { table, line, record, meta } of records) {
          add(outcome, table.name, line);
          plainUpserts.collect(groups, record, meta);
        }
        outcome.deadLetters.push(...deadLetters);
      }
      outcome.merged = plainUpserts.statements(groups).map(({ values }) => values);
      return outcome;
    },
    /** Records that are taken without JSON.parse, and all. */
    taken(payload: Buffer): { plain: number; records: number } | undefined {
      const records = scanned.scan({ id: 1, receivedAt: 0, token: "", payload });
      if (records === undefined) return undefined;
      let plain = 0;
      for (let index = 0; index < records; index++) plain += scanned.isPlain(index) ? 1 : 0;
      return { plain, records };
    },
  };
}

function nothing(): Outcome {
  return { lines: {}, deadLetters: [], merged: undefined };
}

function add({ lines }: Outcome, table: string, text: string): void {
  lines[table] = (lines[table] ?? "") + text;
}
