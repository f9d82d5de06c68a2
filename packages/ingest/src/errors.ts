/** Codes thrown by `@millrace/ingest`; listed with their way out in docs/reference/errors.md. */
export type IngestErrorCode = "INGEST_LISTEN_FAILED" | "INGEST_TOKENS_AMBIGUOUS";
