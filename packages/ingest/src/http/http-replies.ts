import { REFUSALS, type RefusalReason } from "../refusal.ts";

const RETRY_AFTER_SECONDS = "1";

/** Status codes of refusals; what is not here means that the server cannot take it now: 503. */
const STATUS: Partial<Record<RefusalReason, number>> = {
  bad_header: 400,
  bad_request: 400,
  empty: 400,
  truncated: 400,
  token: 401,
  address: 403,
  not_found: 404,
  method: 405,
  frame_timeout: 408,
  header_timeout: 408,
  frame_too_large: 413,
  media_type: 415,
  rate: 429,
};

/** How errors are written: our own JSON, or the `google.rpc.Status` that OTLP asks for. */
export type ErrorFormat = "json" | "otlp-json" | "otlp-proto";

export interface HttpReply {
  status: number;
  headers: Record<string, string>;
  body: string | Uint8Array;
}

/** The answer to what was refused. */
export function refusalReply(reason: RefusalReason, format: ErrorFormat): HttpReply {
  const status = STATUS[reason] ?? 503;
  const headers: Record<string, string> = { "content-type": contentType(format) };
  if (status === 401) headers["www-authenticate"] = "Bearer";
  if (status === 405) headers["allow"] = "POST";
  if (status === 429 || status === 503) headers["retry-after"] = RETRY_AFTER_SECONDS;
  return { status, headers, body: errorBody(reason, format) };
}

/** The answer to what is durable. `202`: it has yet to reach its table; OTLP asks for 200. */
export function acceptedReply(format: ErrorFormat): HttpReply {
  return {
    status: format === "json" ? 202 : 200,
    headers: { "content-type": contentType(format) },
    // An ExportLogsServiceResponse or ExportTraceServiceResponse with nothing rejected is empty.
    body: format === "otlp-proto" ? new Uint8Array() : "{}",
  };
}

/** A whole answer for a socket that no HTTP server reads from. */
export function rawRefusal(reason: RefusalReason): string {
  const { status, headers, body } = refusalReply(reason, "json");
  const lines = Object.entries({
    ...headers,
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Refused\r\n${lines.join("")}\r\n${String(body)}`;
}

function contentType(format: ErrorFormat): string {
  return format === "otlp-proto" ? "application/x-protobuf" : "application/json";
}

function errorBody(reason: RefusalReason, format: ErrorFormat): string | Uint8Array<ArrayBuffer> {
  const { message } = REFUSALS[reason];
  if (format === "json") return JSON.stringify({ error: { code: reason, message } });
  if (format === "otlp-json") return JSON.stringify({ message });
  // Field 2 of google.rpc.Status; all messages are short enough for a length of one or two bytes.
  const text = new TextEncoder().encode(message);
  const length =
    text.length < 128 ? [text.length] : [(text.length & 0x7f) | 0x80, text.length >> 7];
  return Uint8Array.of(0x12, ...length, ...text);
}
