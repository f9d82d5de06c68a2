import type { BufferedPayload, ClaimedBatch } from "@millrace/core/buffer";
import type { CompiledTable } from "../encode/compiled-table.ts";
import type { RecordMeta } from "../encode/record-meta.ts";
import type { Router } from "../encode/router.ts";
import type { DeadLetter } from "../write/dead-letters.ts";
import type { CopyTextBuffer } from "./copy-text-buffer.ts";
import type { CopyTextPool } from "./copy-text-pool.ts";
import type { ScannedPayloads, ScanSink } from "./scanned-payloads.ts";
import {
  addRecord,
  type EncodedRecord,
  ENTRY_LENGTH,
  readBatch,
  type SegmentLimits,
  type SegmentSink,
} from "./segments.ts";

/** A part of a batch as the data of its COPYs: the records themselves are gone. */
export interface CopySegment {
  tables: Map<CompiledTable, CopyTextBuffer>;
  deadLetters: DeadLetter[];
}

/** Adds a record, or at least those of its fields that are merged, to what is merged into other tables. */
type Collect = (record: EncodedRecord["record"], meta: RecordMeta) => void;

/**
 * Reads a batch that is to land as a whole or not at all, so that no record is needed any more once
 * it is encoded and collected. For a batch with rows that PostgreSQL refuses there is `readSegments`.
 *
 * @param scanned takes what it can of each payload.
 * @param pool that the texts are from; to be given back once they are sent.
 */
export function readCopySegments(
  batch: ClaimedBatch,
  router: Router,
  scanned: ScannedPayloads,
  limits: SegmentLimits,
  pool: CopyTextPool,
  collect: Collect,
): Generator<CopySegment> {
  return readBatch(batch, router, limits, new OpenCopySegment(scanned, pool, collect));
}

class OpenCopySegment implements SegmentSink<CopySegment>, ScanSink {
  readonly addMerged: Collect;
  readonly #scanned: ScannedPayloads;
  readonly #pool: CopyTextPool;
  #segment: CopySegment = { tables: new Map(), deadLetters: [] };
  #length = 0;

  constructor(scanned: ScannedPayloads, pool: CopyTextPool, collect: Collect) {
    this.#scanned = scanned;
    this.#pool = pool;
    this.addMerged = collect;
  }

  get length(): number {
    return this.#length;
  }

  addPayload(payload: BufferedPayload, router: Router): boolean {
    const scanned = this.#scanned;
    const count = scanned.scan(payload);
    if (count === undefined) return false;
    const meta: RecordMeta = { receivedAt: payload.receivedAt, token: payload.token };
    for (let recordIndex = 0; recordIndex < count; recordIndex++) {
      const length = scanned.add(payload, recordIndex, meta, this);
      if (length !== undefined) this.#length += length + ENTRY_LENGTH;
      else
        addRecord(
          scanned.recordAt(payload, recordIndex),
          { payload, recordIndex, meta },
          router,
          this,
        );
    }
    return true;
  }

  addRecord({ table, line, record, meta }: EncodedRecord): void {
    this.textOf(table).add(line);
    this.#length += line.length + ENTRY_LENGTH;
    this.addMerged(record, meta);
  }

  addDeadLetter(letter: DeadLetter): void {
    this.#segment.deadLetters.push(letter);
    this.#length += letter.content.byteLength + ENTRY_LENGTH;
  }

  textOf(table: CompiledTable): CopyTextBuffer {
    const { tables } = this.#segment;
    let text = tables.get(table);
    if (text === undefined) {
      text = this.#pool.take(table);
      tables.set(table, text);
    }
    return text;
  }

  take(): CopySegment {
    const segment = this.#segment;
    for (const [table, text] of segment.tables) {
      // All of its records were refused.
      if (text.lines === 0) segment.tables.delete(table);
    }
    this.#segment = { tables: new Map(), deadLetters: [] };
    this.#length = 0;
    return segment;
  }
}
