import { AUDIT_STATEMENTS } from "./audit-tables.ts";

/** Which batches have landed: written in the transaction that lands them. */
export const LEDGER_TABLE = "millrace_ledger";
/** What could not land, with the reason and the exact bytes. */
export const DEAD_LETTER_TABLE = "millrace_dead_letters";

/** Tables that the drain keeps for itself. Each statement may run again on a database that has them. */
export const BOOKKEEPING_STATEMENTS: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${LEDGER_TABLE} (
    batch_id uuid PRIMARY KEY,
    buffer_id uuid NOT NULL,
    first_payload_id bigint NOT NULL,
    last_payload_id bigint NOT NULL,
    payloads integer NOT NULL,
    landed_at timestamptz NOT NULL DEFAULT now()
  )`,
  `CREATE INDEX IF NOT EXISTS ${LEDGER_TABLE}_buffer_id_landed_at
    ON ${LEDGER_TABLE} (buffer_id, landed_at)`,
  `CREATE TABLE IF NOT EXISTS ${DEAD_LETTER_TABLE} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id uuid NOT NULL,
    payload_id bigint NOT NULL,
    record_index integer,
    destination text,
    code text NOT NULL,
    reason text NOT NULL,
    token text NOT NULL,
    received_at timestamptz NOT NULL,
    content bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
  )`,
  `ALTER TABLE ${DEAD_LETTER_TABLE}
    ADD COLUMN IF NOT EXISTS attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS last_tried_at timestamptz`,
  `CREATE INDEX IF NOT EXISTS ${DEAD_LETTER_TABLE}_created_at ON ${DEAD_LETTER_TABLE} (created_at)`,
  `CREATE INDEX IF NOT EXISTS ${DEAD_LETTER_TABLE}_received_at
    ON ${DEAD_LETTER_TABLE} USING brin (received_at)`,
  ...AUDIT_STATEMENTS,
];
