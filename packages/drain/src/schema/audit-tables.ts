/** Payloads that have left buffers, and dead letters, by hour of receipt. */
export const AUDIT_PAYLOADS_TABLE = "millrace_audit_payloads";
/** Records that have landed, by hour of receipt and table. */
export const AUDIT_RECORDS_TABLE = "millrace_audit_records";

/**
 * What an audit compares tables with. Each worker of each buffer has rows of its own, so that none
 * waits for another's commit; the zero UUID stands for replays and discards.
 */
export const AUDIT_STATEMENTS: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${AUDIT_PAYLOADS_TABLE} (
    hour timestamptz NOT NULL,
    buffer_id uuid NOT NULL,
    worker integer NOT NULL,
    payloads bigint NOT NULL,
    first_payload_id bigint,
    last_payload_id bigint,
    dead_letters bigint NOT NULL,
    replayed bigint NOT NULL,
    discarded bigint NOT NULL,
    PRIMARY KEY (hour, buffer_id, worker)
  ) WITH (fillfactor = 50)`,
  `CREATE TABLE IF NOT EXISTS ${AUDIT_RECORDS_TABLE} (
    hour timestamptz NOT NULL,
    buffer_id uuid NOT NULL,
    worker integer NOT NULL,
    destination text NOT NULL,
    records bigint NOT NULL,
    PRIMARY KEY (hour, buffer_id, worker, destination)
  ) WITH (fillfactor = 50)`,
];
