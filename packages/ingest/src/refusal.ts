/** What a refusal is about: one frame, or the connection as a whole. */
type RefusalSubject = "frame" | "connection";

/** How one of {@link REFUSALS} is reported. */
export interface RefusalKind {
  subject: RefusalSubject;
  /** For the log: what the peer did and what to do about it. */
  message: string;
  /** How it is logged; "warn" unless it is part of everyday life. */
  level?: "debug";
}

/**
 * Every way to turn a client down. A new limit starts here: name its reason, then check it where
 * the bytes are (`framing/`), where a frame is taken (`connection.ts`, `http/`, `udp/`) or where a connection comes
 * in (`listening/`).
 */
export const REFUSALS = {
  bad_header: {
    subject: "frame",
    message:
      "header is not LENGTH:v1:TOKENHASH:, nor one of HTTP where that is spoken: another protocol came",
  },
  version: {
    subject: "frame",
    message: "second header field is not v1: the client is older than 1.11, update it",
  },
  token: {
    subject: "frame",
    message:
      "token is none of the server's: compare NIGHTWATCH_TOKEN, or over HTTP the bearer token, with them",
  },
  frame_too_small: {
    subject: "frame",
    message: "LENGTH is too small to hold version and token: the client may be older than 1.11",
  },
  frame_too_large: {
    subject: "frame",
    message: "LENGTH is over limits.maxFrameBytes: raise it if such payloads are expected",
  },
  bad_request: {
    subject: "frame",
    message: "body is not what its Content-Type or Content-Encoding says",
  },
  not_found: { subject: "frame", message: "HTTP path is not /v1/ingest, /v1/logs or /v1/traces" },
  method: { subject: "frame", message: "HTTP method is not POST" },
  media_type: {
    subject: "frame",
    message: "Content-Type or Content-Encoding is not one that the path takes",
  },
  empty: { subject: "frame", message: "payload is empty" },
  truncated: { subject: "frame", message: "client ended its side in the middle of a frame" },
  memory: {
    subject: "frame",
    message: "unfinished frames fill limits.maxUnfinishedBytes: large frames are refused for now",
  },
  rate: {
    subject: "frame",
    message:
      "token is over its payloadsPerSecond or bytesPerSecond: raise them if that is expected",
  },
  overload: { subject: "frame", message: "pressure is closed: payloads are refused for now" },
  buffer_full: { subject: "frame", message: "buffer is full: the drain is behind" },
  disk_low: { subject: "frame", message: "the buffer's disk is nearly full: free some space" },
  write_failed: { subject: "frame", message: "buffer could not write to disk" },
  buffer_closed: { subject: "frame", message: "buffer is not running: start it before the server" },
  frame_timeout: {
    subject: "frame",
    message: "frame did not arrive within limits.frameTimeoutMs",
  },
  header_timeout: {
    subject: "connection",
    message: "no complete header came within limits.headerTimeoutMs",
  },
  idle_timeout: {
    subject: "connection",
    message: "no frame came within limits.idleTimeoutMs",
    level: "debug",
  },
  slow_reader: {
    subject: "connection",
    message: "client did not read its replies within limits.idleTimeoutMs",
  },
  too_many_connections: {
    subject: "connection",
    message: "limits.maxConnections is reached: new connections are refused for now",
  },
  too_many_connections_per_address: {
    subject: "connection",
    message: "limits.maxConnectionsPerAddress is reached: new ones from this address are refused",
  },
  address: {
    subject: "connection",
    message: "deny has the client's address, or allow does not have it",
  },
  tls: {
    subject: "connection",
    message: "no TLS came about: the client spoke none, was too slow or has no valid certificate",
  },
} as const satisfies Record<string, RefusalKind>;

/** Why a frame or a connection was refused; the `reason` label of `millrace_ingest_refusals_total`. */
export type RefusalReason = keyof typeof REFUSALS;

export const REFUSAL_REASONS = Object.keys(REFUSALS) as RefusalReason[];
