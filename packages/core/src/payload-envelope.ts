/**
 * What a stored payload holds. `records` is what the TCP protocol carries, a JSON array, and has no
 * envelope; the others begin with four bytes that say what follows.
 */
export type PayloadKind = "records" | "json" | "ndjson" | OtlpKind;

/** An export request of OpenTelemetry. */
export type OtlpKind =
  | "otlp-logs-json"
  | "otlp-logs-proto"
  | "otlp-traces-json"
  | "otlp-traces-proto";

/** Neither JSON nor gzip can begin with these: JSON text has no NUL, gzip starts with 1f 8b. */
const MARK = [0x00, 0x4d, 0x52] as const;
const ENVELOPE_BYTES = MARK.length + 1;

/** Stored in buffer files: never renumber. */
const KIND_BYTES = {
  json: 1,
  ndjson: 2,
  "otlp-logs-json": 3,
  "otlp-logs-proto": 4,
  "otlp-traces-json": 5,
  "otlp-traces-proto": 6,
} as const satisfies Record<Exclude<PayloadKind, "records">, number>;
const KINDS = new Map<number, PayloadKind>(
  Object.entries(KIND_BYTES).map(([kind, byte]) => [byte, kind as PayloadKind]),
);

/** Joins the parts of a payload, behind the envelope of its kind; `records` gets none. */
export function sealPayload(kind: PayloadKind, parts: readonly Uint8Array[]): Buffer {
  if (kind === "records") return Buffer.concat(parts);
  return Buffer.concat([Uint8Array.of(...MARK, KIND_BYTES[kind]), ...parts]);
}

/** A payload without its envelope; `kind` is undefined for one that a newer version wrote. */
export function openPayload(payload: Uint8Array): {
  kind: PayloadKind | undefined;
  content: Uint8Array;
} {
  if (payload.byteLength < ENVELOPE_BYTES || MARK.some((byte, at) => payload[at] !== byte)) {
    return { kind: "records", content: payload };
  }
  return {
    kind: KINDS.get(payload[MARK.length] ?? 0),
    content: payload.subarray(ENVELOPE_BYTES),
  };
}
