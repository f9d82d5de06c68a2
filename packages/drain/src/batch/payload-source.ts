import { messageOf, openPayload, type OtlpKind } from "@millrace/core/thread";
import type { BufferedPayload } from "@millrace/core/buffer";
import { RecordRefused } from "../encode/record-refused.ts";
import { decodeRequest } from "../otlp/messages.ts";
import { otlpRecords, type RecordMaker } from "../otlp/otlp-records.ts";
import { heapBytesOf } from "./heap-estimate.ts";
import { type PayloadRecord, payloadRecords, readRecord } from "./payload-records.ts";
import { PayloadRefused, readBytes, readText, type TextLimits } from "./payload-reader.ts";

export interface SourceLimits extends TextLimits {
  /** What reading one record may take of the heap, in bytes. */
  maxRecordHeapBytes: number;
}

/** Protobuf may have this part of what text may: decoded, it can be 50 times as large. */
const PROTOBUF_SHARE = 4;

/**
 * The records of a payload of any kind, in their order.
 *
 * @throws {@link PayloadRefused} when it cannot be read as what its kind says.
 */
export function* recordsOf(
  payload: BufferedPayload,
  limits: SourceLimits,
): Generator<PayloadRecord> {
  const { kind, content } = openPayload(payload.payload);
  switch (kind) {
    case "records":
      yield* payloadRecords(readText(content, limits), limits.maxRecordHeapBytes);
      return;
    case "json":
      yield* payloadRecords(asArray(readText(content, limits)), limits.maxRecordHeapBytes);
      return;
    case "ndjson":
      yield* lineRecords(readText(content, limits), limits.maxRecordHeapBytes);
      return;
    case "otlp-logs-json":
    case "otlp-logs-proto":
    case "otlp-traces-json":
    case "otlp-traces-proto":
      yield* exportRecords(kind, content, payload.receivedAt, limits);
      return;
    case undefined:
      throw new PayloadRefused(
        "kind_unknown",
        "the payload's envelope is of a kind that only a newer version reads",
      );
    default:
      kind satisfies never;
  }
}

/** One record may come without brackets around it. */
function asArray(text: string): string {
  return /^[ \t\r\n]*\{/.test(text) ? `[${text}]` : text;
}

/** @see https://github.com/ndjson/ndjson-spec; what is wrong with a line stays with that line. */
function* lineRecords(text: string, maxRecordHeapBytes: number): Generator<PayloadRecord> {
  for (let start = 0; start < text.length;) {
    const found = text.indexOf("\n", start);
    const end = found === -1 ? text.length : found;
    const line = text.slice(start, end).trim();
    start = end + 1;
    if (line !== "") yield { read: () => readLine(line, maxRecordHeapBytes), text: () => line };
  }
}

function readLine(line: string, maxRecordHeapBytes: number): unknown {
  try {
    return readRecord(line, maxRecordHeapBytes);
  } catch (error) {
    if (error instanceof RecordRefused) throw error;
    throw new RecordRefused(`the line is not JSON: ${messageOf(error)}`);
  }
}

function* exportRecords(
  kind: OtlpKind,
  content: Uint8Array,
  receivedAt: number,
  limits: SourceLimits,
): Generator<PayloadRecord> {
  const request = readRequest(kind, content, limits);
  let makers: RecordMaker[];
  try {
    makers = [...otlpRecords(kind, request, receivedAt)];
  } catch (error) {
    throw new PayloadRefused("otlp_invalid", `the export is not OTLP: ${messageOf(error)}`);
  }
  for (const make of makers) yield { read: make, text: () => textOf(make) };
}

/** As a record of its own, which a replay of its dead letter reads. */
function textOf(make: RecordMaker): string {
  try {
    return JSON.stringify(make());
  } catch (error) {
    return JSON.stringify({ error: messageOf(error) });
  }
}

function readRequest(kind: OtlpKind, content: Uint8Array, limits: SourceLimits): unknown {
  if (kind === "otlp-logs-json" || kind === "otlp-traces-json") {
    const text = readText(content, limits);
    const heapBytes = heapBytesOf(text);
    if (heapBytes > limits.maxRecordHeapBytes) throw tooLarge(content, limits.maxRecordHeapBytes);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new PayloadRefused("json_invalid", `the export is not JSON: ${messageOf(error)}`);
    }
  }
  const maxBytes = limits.maxTextBytes / PROTOBUF_SHARE;
  const bytes = readBytes(content, limits.maxInflatedBytes);
  if (bytes.byteLength > maxBytes) throw tooLarge(content, maxBytes);
  const isLogs = kind === "otlp-logs-proto";
  try {
    return decodeRequest(isLogs ? "ExportLogsServiceRequest" : "ExportTraceServiceRequest", bytes);
  } catch (error) {
    throw new PayloadRefused("protobuf_invalid", `the export is not OTLP: ${messageOf(error)}`);
  }
}

function tooLarge(content: Uint8Array, limit: number): PayloadRefused {
  return new PayloadRefused(
    "too_large",
    `reading the export of ${content.byteLength} bytes may take more memory than a worker has (limit ${limit})`,
  );
}
