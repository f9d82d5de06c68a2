/** Codes thrown by `@millrace/drain`; listed with their way out in docs/reference/errors.md. */
export type DrainErrorCode =
  | "DRAIN_ALERT_NOT_SENT"
  | "DRAIN_AUDIT_FAILED"
  | "DRAIN_DATABASE_TLS_REFUSED"
  | "DRAIN_DATABASE_UNREACHABLE"
  | "DRAIN_DEAD_LETTERS_FAILED"
  | "DRAIN_MIGRATION_FAILED"
  | "DRAIN_TABLE_INVALID"
  | "DRAIN_WORKER_FAILED";
