/** News of issues: written in the transaction that lands them. */
export const ALERTS_TABLE = "millrace_alerts";
/** Which channel has sent which alert. */
export const DELIVERIES_TABLE = "millrace_alert_deliveries";
/** How often each channel has sent of late, and until when it pauses: for all agents together. */
export const CHANNELS_TABLE = "millrace_alert_channels";

/** The outbox of alerts. Each statement may run again on a database that has them. */
export const ALERT_STATEMENTS: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS ${ALERTS_TABLE} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL DEFAULT gen_random_uuid(),
    kind text NOT NULL,
    source text NOT NULL,
    subject_key text NOT NULL,
    subject jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    queued_at timestamptz
  )`,
  `CREATE INDEX IF NOT EXISTS ${ALERTS_TABLE}_not_queued ON ${ALERTS_TABLE} (id) WHERE queued_at IS NULL`,
  `CREATE INDEX IF NOT EXISTS ${ALERTS_TABLE}_subject_key ON ${ALERTS_TABLE} (subject_key, id)`,
  `CREATE INDEX IF NOT EXISTS ${ALERTS_TABLE}_created_at ON ${ALERTS_TABLE} (created_at)`,
  `CREATE TABLE IF NOT EXISTS ${DELIVERIES_TABLE} (
    alert_id bigint NOT NULL REFERENCES ${ALERTS_TABLE} ON DELETE CASCADE,
    channel text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz,
    result text,
    reason text,
    PRIMARY KEY (alert_id, channel)
  )`,
  `CREATE INDEX IF NOT EXISTS ${DELIVERIES_TABLE}_open
    ON ${DELIVERIES_TABLE} (channel, alert_id) WHERE settled_at IS NULL`,
  `CREATE TABLE IF NOT EXISTS ${CHANNELS_TABLE} (
    channel text PRIMARY KEY,
    interval_started_at timestamptz NOT NULL DEFAULT now(),
    messages integer NOT NULL DEFAULT 0,
    resume_at timestamptz
  )`,
];
