import { messageOf } from "@millrace/core";
import type { BufferedPayload, ClaimedBatch } from "@millrace/core/buffer";
import type { CompiledTable } from "../encode/compiled-table.ts";
import type { RecordMeta } from "../encode/record-meta.ts";
import { RecordRefused } from "../encode/record-refused.ts";
import type { Router } from "../encode/router.ts";
import type { DeadLetter } from "../write/dead-letters.ts";
import { parseRecords, PayloadRefused, readText } from "./payload-reader.ts";
import { recordText } from "./record-span.ts";

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

export interface SegmentLimits {
  /** What a gzip payload may inflate to, in bytes. */
  maxInflatedBytes: number;
  /** Encoded characters after which a segment ends; a single payload may exceed it. */
  segmentLength: number;
}

/**
 * Decodes and encodes a batch piece by piece, so that memory is bounded by one segment and one
 * payload however far the batch inflates.
 *
 * @param beforePayload called with the id of each payload before its bytes are looked at.
 */
export function* readSegments(
  batch: ClaimedBatch,
  router: Router,
  limits: SegmentLimits,
  beforePayload: (payloadId: number) => void = () => {},
): Generator<Segment> {
  let segment: Segment = { records: [], deadLetters: [] };
  let length = 0;
  for (const payload of batch.payloads) {
    if (batch.convictedIds.includes(payload.id)) {
      const reason = "reading this payload ended the worker thread, probably for want of memory";
      segment.deadLetters.push(wholePayload(payload, "kills_worker", reason));
      continue;
    }
    beforePayload(payload.id);
    const letters = segment.deadLetters.length;
    length += readPayload(payload, router, limits.maxInflatedBytes, segment);
    for (const { content } of segment.deadLetters.slice(letters)) length += content.byteLength;
    if (length < limits.segmentLength) continue;
    yield segment;
    segment = { records: [], deadLetters: [] };
    length = 0;
  }
  if (segment.records.length > 0 || segment.deadLetters.length > 0) yield segment;
}

/** The dead letter of a record that the server refused after it was encoded. */
export function refusedByServer(
  { payload, recordIndex, table }: EncodedRecord,
  maxInflatedBytes: number,
  failure: { code: string; reason: string },
): DeadLetter {
  const text = recordText(readText(payload.payload, maxInflatedBytes), recordIndex) ?? "";
  return {
    ...wholePayload(payload, failure.code, failure.reason),
    recordIndex,
    destination: table.name,
    content: Buffer.from(text),
  };
}

/** @returns characters encoded. */
function readPayload(
  payload: BufferedPayload,
  router: Router,
  maxInflatedBytes: number,
  segment: Segment,
): number {
  let text: string;
  let records: unknown[];
  try {
    text = readText(payload.payload, maxInflatedBytes);
    records = parseRecords(text);
  } catch (error) {
    if (!(error instanceof PayloadRefused)) throw error;
    segment.deadLetters.push(wholePayload(payload, error.code, error.message));
    return 0;
  }
  const meta: RecordMeta = { receivedAt: payload.receivedAt, token: payload.token };
  let length = 0;
  for (const [recordIndex, record] of records.entries()) {
    let table: CompiledTable | undefined;
    try {
      table = router.route(record);
      const line = table.encode(record as Record<string, unknown>, meta);
      length += line.length;
      segment.records.push({
        table,
        line,
        record: record as Record<string, unknown>,
        meta,
        payload,
        recordIndex,
      });
    } catch (error) {
      segment.deadLetters.push({
        ...wholePayload(payload, "record_invalid", reasonOf(error)),
        recordIndex,
        destination: table?.name,
        content: Buffer.from(recordText(text, recordIndex) ?? ""),
      });
    }
  }
  return length;
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
