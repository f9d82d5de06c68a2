/** Codes thrown by `@millrace/ingest`; listed with their way out in docs/reference/errors.md. */
export type IngestErrorCode =
  | "INGEST_LISTEN_FAILED"
  | "INGEST_REUSE_PORT_UNSUPPORTED"
  | "INGEST_TLS_INVALID"
  | "INGEST_TOKENS_AMBIGUOUS";
