import type { PayloadKind } from "@millrace/core";

/** What each path takes, by media type. */
export const ROUTES: Readonly<Record<string, Readonly<Record<string, PayloadKind>>>> = {
  "/v1/ingest": {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
  },
  "/v1/logs": {
    "application/json": "otlp-logs-json",
    "application/x-protobuf": "otlp-logs-proto",
  },
  "/v1/traces": {
    "application/json": "otlp-traces-json",
    "application/x-protobuf": "otlp-traces-proto",
  },
};

/** `application/json; charset=utf-8` without its parameters. */
export function mediaType(header: string | undefined): string {
  return (header ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

const GZIP = "gzip";

/** Undefined for an encoding that is not spoken here. */
export function contentEncoding(header: string | undefined): "gzip" | "identity" | undefined {
  const encoding = header?.trim().toLowerCase() ?? "identity";
  if (encoding === GZIP || encoding === "x-gzip") return GZIP;
  return encoding === "identity" || encoding === "" ? "identity" : undefined;
}

/** The kind to store a body as, by its first bytes; undefined when it cannot be what it says. */
export function kindOfBody(
  declared: PayloadKind,
  encoding: "gzip" | "identity",
  chunks: readonly Uint8Array[],
): PayloadKind | undefined {
  const first = firstBytes(chunks);
  if (encoding === GZIP) return first[0] === 0x1f && first[1] === 0x8b ? declared : undefined;
  if (declared.endsWith("-proto")) return declared;
  const start = first.find((byte) => !WHITESPACE.has(byte));
  // An array needs no envelope: it is what the TCP protocol carries.
  if (start === OPEN_BRACKET && declared === "json") return "records";
  return start === OPEN_BRACE ? declared : undefined;
}

const OPEN_BRACKET = 0x5b;
const OPEN_BRACE = 0x7b;
const WHITESPACE: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);
const LOOKED_AT_BYTES = 64;

/** Of however many chunks: the first may be a single byte. */
function firstBytes(chunks: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    chunks.slice(0, LOOKED_AT_BYTES).map((chunk) => chunk.subarray(0, LOOKED_AT_BYTES)),
  );
}
