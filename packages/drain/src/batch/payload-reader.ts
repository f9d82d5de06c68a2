import { isUtf8 } from "node:buffer";
import { gunzipSync } from "node:zlib";
import { messageOf } from "@millrace/core/thread";

/** A payload that holds no records; the whole of it becomes a dead letter. */
export class PayloadRefused extends Error {
  /** Short and stable, for the dead letter's `code`. */
  readonly code:
    | "gzip_invalid"
    | "inflates_too_large"
    | "too_large"
    | "utf8_invalid"
    | "json_invalid"
    | "not_array"
    | "kind_unknown"
    | "otlp_invalid"
    | "protobuf_invalid";

  constructor(code: PayloadRefused["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export interface TextLimits {
  /** What a gzip payload may inflate to. */
  maxInflatedBytes: number;
  /** What any payload may have, inflated. */
  maxTextBytes: number;
}

/**
 * The text of a payload: inflated when it starts with gzip's magic bytes.
 *
 * A gzip bomb is stopped where it has inflated to the limit.
 *
 * @throws {@link PayloadRefused}
 */
export function readText(
  payload: Uint8Array,
  { maxInflatedBytes, maxTextBytes }: TextLimits,
): string {
  const bytes = readBytes(payload, maxInflatedBytes);
  if (!isUtf8(bytes)) throw new PayloadRefused("utf8_invalid", "the payload is not valid UTF-8");
  if (bytes.byteLength > maxTextBytes) {
    throw new PayloadRefused(
      "too_large",
      `the payload has ${bytes.byteLength} bytes, the heap of a worker allows ${maxTextBytes}`,
    );
  }
  return bytes.toString("utf8");
}

/**
 * The bytes of a payload: inflated when it starts with gzip's magic bytes.
 *
 * @throws {@link PayloadRefused}
 */
export function readBytes(payload: Uint8Array, maxInflatedBytes: number): Buffer {
  return isGzip(payload)
    ? inflate(payload, maxInflatedBytes)
    : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}

/**
 * The records of a payload's text.
 *
 * @throws {@link PayloadRefused} when it is not a JSON array.
 */
export function parseRecords(text: string): unknown[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new PayloadRefused("json_invalid", `the payload is not JSON: ${messageOf(error)}`);
  }
  if (Array.isArray(parsed)) return parsed;
  const kind = parsed === null ? "null" : typeof parsed;
  throw new PayloadRefused(
    "not_array",
    `the payload is a JSON ${kind}, expected an array of records`,
  );
}

function isGzip(payload: Uint8Array): boolean {
  return payload[0] === 0x1f && payload[1] === 0x8b;
}

function inflate(payload: Uint8Array, maxInflatedBytes: number): Buffer {
  try {
    return gunzipSync(payload, { maxOutputLength: maxInflatedBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
      throw new PayloadRefused(
        "inflates_too_large",
        `the gzip payload of ${payload.byteLength} bytes inflates to more than ${maxInflatedBytes} bytes`,
      );
    }
    throw new PayloadRefused(
      "gzip_invalid",
      `the gzip payload does not inflate: ${messageOf(error)}`,
    );
  }
}
