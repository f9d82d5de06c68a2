import type { ClaimedBatch } from "@millrace/core/buffer";
import type { CompiledTable } from "../encode/compiled-table.ts";
import type { RecordMeta } from "../encode/record-meta.ts";
import type { Router } from "../encode/router.ts";
import type { DeadLetter } from "../write/dead-letters.ts";
import { CopyTextBuffer } from "./copy-text-buffer.ts";
import {
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

/**
 * Reads a batch that is to land as a whole or not at all, so that no record is needed any more once
 * it is encoded and collected. For a batch with rows that PostgreSQL refuses there is `readSegments`.
 *
 * @param collect adds a record to what is merged into other tables.
 */
export function readCopySegments(
  batch: ClaimedBatch,
  router: Router,
  limits: SegmentLimits,
  collect: (record: EncodedRecord["record"], meta: RecordMeta) => void,
): Generator<CopySegment> {
  return readBatch(batch, router, limits, new OpenCopySegment(collect));
}

class OpenCopySegment implements SegmentSink<CopySegment> {
  length = 0;
  readonly #collect: (record: EncodedRecord["record"], meta: RecordMeta) => void;
  #segment: CopySegment = { tables: new Map(), deadLetters: [] };

  constructor(collect: (record: EncodedRecord["record"], meta: RecordMeta) => void) {
    this.#collect = collect;
  }

  addRecord({ table, line, record, meta }: EncodedRecord): void {
    const { tables } = this.#segment;
    let text = tables.get(table);
    if (text === undefined) {
      text = new CopyTextBuffer();
      tables.set(table, text);
    }
    text.add(line);
    this.length += line.length + ENTRY_LENGTH;
    this.#collect(record, meta);
  }

  addDeadLetter(letter: DeadLetter): void {
    this.#segment.deadLetters.push(letter);
    this.length += letter.content.byteLength + ENTRY_LENGTH;
  }

  take(): CopySegment {
    const segment = this.#segment;
    this.#segment = { tables: new Map(), deadLetters: [] };
    this.length = 0;
    return segment;
  }
}
