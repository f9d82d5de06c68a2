import { messageOf } from "@millrace/core/thread";
import type { BufferedPayload, ClaimedBatch } from "@millrace/core/buffer";
import type { CompiledTable } from "../encode/compiled-table.ts";
import type { RecordMeta } from "../encode/record-meta.ts";
import { RecordRefused } from "../encode/record-refused.ts";
import type { Router } from "../encode/router.ts";
import type { DeadLetter } from "../write/dead-letters.ts";
import { PayloadRefused } from "./payload-reader.ts";
import type { PayloadRecord } from "./payload-records.ts";
import { recordsOf, type SourceLimits } from "./payload-source.ts";

/** A record that is encoded and on its way to its table. */
export interface EncodedRecord {
  table: CompiledTable;
  /** Its line of COPY text. */
  line: string;
  record: Record<string, unknown>;
  meta: RecordMeta;
  payload: BufferedPayload;
  recordIndex: number;
}

/** A part of a batch small enough to hold in memory, encoded. */
export interface Segment {
  records: EncodedRecord[];
  deadLetters: DeadLetter[];
}

export interface SegmentLimits extends SourceLimits {
  /** Encoded characters after which a segment ends; a single record may exceed it. */
  segmentLength: number;
}

/** What an entry of a segment weighs besides its text, in characters. */
export const ENTRY_LENGTH = 200;

/**
 * Decodes and encodes a batch piece by piece, so that memory is bounded by one segment and one
 * payload however far the batch inflates.
 *
 * @param beforePayload called with the id of each payload before its bytes are looked at; no segment
 * then holds records of two payloads.
 */
export function readSegments(
  batch: ClaimedBatch,
  router: Router,
  limits: SegmentLimits,
  beforePayload?: (payloadId: number) => void,
): Generator<Segment> {
  return readBatch(batch, router, limits, new OpenSegment(), beforePayload);
}

/** Where {@link readBatch} puts what it has read. */
export interface SegmentSink<Taken> {
  /** Characters that it holds; above 0 when it holds anything. */
  readonly length: number;
  addRecord(record: EncodedRecord): void;
  addDeadLetter(letter: DeadLetter): void;
  /**
   * Adds all of a payload in a way of its own. @returns false, having added nothing, when it has to be
   * read here.
   */
  addPayload?(payload: BufferedPayload, router: Router): boolean;
  /** Hands over what it holds and starts anew. */
  take(): Taken;
}

/** {@link readSegments} into any sink, which is taken whenever it is full. */
export function* readBatch<Taken>(
  batch: ClaimedBatch,
  router: Router,
  limits: SegmentLimits,
  open: SegmentSink<Taken>,
  beforePayload?: (payloadId: number) => void,
): Generator<Taken> {
  const { payloads } = batch;
  // By index, and no generator for a payload that needs none: thousands of short-lived objects less.
  for (let index = 0; index < payloads.length; index++) {
    const payload = payloads.at(index) as BufferedPayload;
    if (batch.convictedIds.includes(payload.id)) {
      const reason = "reading this payload ended the worker thread, probably for want of memory";
      open.addDeadLetter(wholePayload(payload, "kills_worker", reason));
    } else {
      beforePayload?.(payload.id);
      if (open.addPayload?.(payload, router) !== true) {
        yield* readPayload(payload, router, limits, open);
      }
    }
    const isFull = open.length >= limits.segmentLength || beforePayload !== undefined;
    if (isFull && open.length > 0) yield open.take();
  }
  if (open.length > 0) yield open.take();
}

/** The dead letter of a record that the server refused after it was encoded. */
export function refusedByServer(
  { payload, recordIndex, table }: EncodedRecord,
  content: Uint8Array,
  failure: { code: string; reason: string },
): DeadLetter {
  return {
    ...wholePayload(payload, failure.code, failure.reason),
    recordIndex,
    destination: table.name,
    content,
  };
}

/** The segment that is being filled. */
class OpenSegment implements SegmentSink<Segment> {
  length = 0;
  #segment: Segment = { records: [], deadLetters: [] };

  addRecord(record: EncodedRecord): void {
    this.#segment.records.push(record);
    this.length += record.line.length + ENTRY_LENGTH;
  }

  addDeadLetter(letter: DeadLetter): void {
    this.#segment.deadLetters.push(letter);
    this.length += letter.content.byteLength + ENTRY_LENGTH;
  }

  take(): Segment {
    const segment = this.#segment;
    this.#segment = { records: [], deadLetters: [] };
    this.length = 0;
    return segment;
  }
}

/** Adds a payload's records to `open`, and yields that whenever it is full. */
function* readPayload<Taken>(
  payload: BufferedPayload,
  router: Router,
  limits: SegmentLimits,
  open: SegmentSink<Taken>,
): Generator<Taken> {
  const meta: RecordMeta = { receivedAt: payload.receivedAt, token: payload.token };
  let recordIndex = 0;
  try {
    for (const source of recordsOf(payload, limits)) {
      addRecord(source, { payload, recordIndex, meta }, router, open);
      recordIndex++;
      if (open.length >= limits.segmentLength) yield open.take();
    }
  } catch (error) {
    if (!(error instanceof PayloadRefused)) throw error;
    open.addDeadLetter(wholePayload(payload, error.code, error.message));
  }
}

/** Adds a record to `open`, or the dead letter of one that is refused. */
export function addRecord(
  source: PayloadRecord,
  place: Pick<EncodedRecord, "payload" | "recordIndex" | "meta">,
  router: Router,
  open: SegmentSink<unknown>,
): void {
  let table: CompiledTable | undefined;
  try {
    const value = source.read();
    table = router.route(value);
    const record = value as Record<string, unknown>;
    open.addRecord({ table, line: table.encode(record, place.meta), record, ...place });
  } catch (error) {
    open.addDeadLetter({
      ...wholePayload(place.payload, "record_invalid", reasonOf(error)),
      recordIndex: place.recordIndex,
      destination: table?.name,
      content: Buffer.from(source.text()),
    });
  }
}

function wholePayload(payload: BufferedPayload, code: string, reason: string): DeadLetter {
  return {
    payloadId: payload.id,
    recordIndex: undefined,
    destination: undefined,
    code,
    reason,
    token: payload.token,
    receivedAt: payload.receivedAt,
    content: payload.payload,
  };
}

function reasonOf(error: unknown): string {
  if (error instanceof RecordRefused) return error.message;
  // Nested too deeply to be written as JSON again: the only other way that encoding can fail.
  return `the record cannot be encoded: ${messageOf(error)}`;
}
