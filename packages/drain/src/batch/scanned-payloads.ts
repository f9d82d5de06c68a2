import { isUtf8 } from "node:buffer";
import type { BufferedPayload } from "@millrace/core/buffer";
import type { CompiledTable } from "../encode/compiled-table.ts";
import { COPY_NULL } from "../encode/copy-text.ts";
import { metaEncoder, type RecordMeta } from "../encode/record-meta.ts";
import { RecordRefused } from "../encode/record-refused.ts";
import { RecordScanner, type ScannedRecord } from "../scan/record-scanner.ts";
import type { RecordShape } from "../scan/record-shape.ts";
import type { ScannedTable } from "../scan/scanned-table.ts";
import type { CopyTextBuffer } from "./copy-text-buffer.ts";
import { MAX_WHOLE_LENGTH, type PayloadRecord } from "./payload-records.ts";

/** Where the lines of scanned records go. */
export interface ScanSink {
  textOf(table: CompiledTable): CopyTextBuffer;
  /** @param fields of the record, those that merging reads; only until it returns. */
  addMerged(fields: Record<string, unknown>, meta: RecordMeta): void;
}

/**
 * The short way from a payload's bytes to COPY text, for records as senders write them: no string, no
 * object and no garbage for most values. JSON.parse, and an object for each record, cost twice as much.
 *
 * It takes nothing that it is not sure of. Everything else goes the way of `readPayload`, which also
 * says what is wrong with it; both make the same bytes of the same record.
 */
export class ScannedPayloads {
  readonly #scanner: RecordScanner;
  readonly #tables: ReadonlyMap<RecordShape, ScannedTable>;
  readonly #encodeMeta = metaEncoder();
  #encodedMeta = "";
  /** The columns that no record fills, with the line feed. */
  #own = Buffer.alloc(0);

  constructor(tables: readonly ScannedTable[]) {
    this.#tables = new Map(tables.map((table) => [table.shape, table]));
    this.#scanner = new RecordScanner([...this.#tables.keys()]);
  }

  /** @returns how many records a payload has; undefined when it has to be read in another way. */
  scan({ payload }: BufferedPayload): number | undefined {
    if (payload.byteLength > MAX_WHOLE_LENGTH || !isUtf8(payload)) return undefined;
    return this.#scanner.scan(payload) ? this.#scanner.recordCount : undefined;
  }

  /** A record of the payload that was scanned last, for a second look. */
  recordAt({ payload }: BufferedPayload, recordIndex: number): PayloadRecord {
    const { start, end, shape, value } = this.#scanner.records[recordIndex] as ScannedRecord;
    const text = () => payload.toString("utf8", start, end).trim();
    return { read: () => (shape === undefined ? value : (JSON.parse(text()) as unknown)), text };
  }

  /** Whether such a record was scanned, and not left to JSON.parse. */
  isPlain(recordIndex: number): boolean {
    return this.#scanner.records[recordIndex]?.shape !== undefined;
  }

  /**
   * Adds a record of the payload that was scanned last.
   *
   * @returns how long it is, in bytes; undefined, having added nothing, for one that has to be encoded
   * in another way.
   */
  add(
    { payload }: BufferedPayload,
    recordIndex: number,
    meta: RecordMeta,
    to: ScanSink,
  ): number | undefined {
    const { records, slots } = this.#scanner;
    const { shape, base, start, end } = records[recordIndex] as ScannedRecord;
    const scanned = shape && this.#tables.get(shape);
    if (scanned === undefined) return undefined;
    const length = end - start;
    try {
      const own = this.#ownOf(meta);
      const fields = scanned.isMerged ? scanned.mergedFields(payload, slots, base) : undefined;
      const text = to.textOf(scanned.table);
      if (!scanned.addLine(payload, slots, base, length, own, text)) return undefined;
      if (fields !== undefined) to.addMerged(fields, meta);
      return length;
    } catch (error) {
      if (error instanceof RecordRefused) return undefined;
      throw error;
    }
  }

  #ownOf(meta: RecordMeta): Buffer {
    const encoded = this.#encodeMeta(meta);
    if (encoded !== this.#encodedMeta) {
      this.#encodedMeta = encoded;
      this.#own = Buffer.from(`${encoded}\t${COPY_NULL}\n`);
    }
    return this.#own;
  }
}
