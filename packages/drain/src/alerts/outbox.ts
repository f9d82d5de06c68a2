import { createHash } from "node:crypto";
import type { Client } from "pg";
import { ALERTS_TABLE, CHANNELS_TABLE, DELIVERIES_TABLE } from "../schema/alert-tables.ts";
import type { Alert } from "./alert.ts";

/** Alerts that one message groups at most; the next one takes the others. */
const MAX_GROUPED = 10_000;

/** How much a channel may say, and how long a claim is respected. */
export interface ClaimLimits {
  messages: number;
  intervalMs: number;
  leaseMs: number;
  timeoutMs: number;
}

/** Alerts that a dispatcher holds until its lease is over. */
export interface ClaimedAlerts {
  /** True: all in one message. */
  isGrouped: boolean;
  alerts: ClaimedAlert[];
}

export interface ClaimedAlert extends Alert {
  /** Its row in the outbox. */
  alertId: string;
}

/**
 * Gives each channel a delivery for each alert that has none yet. One that repeats another of the same
 * issue and kind within `issueIntervalMs` is settled at once.
 *
 * @returns how many repetitions each channel is spared.
 */
export async function queueDeliveries(
  client: Client,
  channels: readonly string[],
  issueIntervalMs: number,
): Promise<number> {
  const { rows } = await client.query<{ repeated: number }>(
    `WITH fresh AS (
       SELECT id, source, kind, subject_key, created_at FROM ${ALERTS_TABLE}
       WHERE queued_at IS NULL ORDER BY id LIMIT ${MAX_GROUPED} FOR UPDATE SKIP LOCKED
     ), checked AS (
       SELECT id, EXISTS (
         SELECT FROM ${ALERTS_TABLE} AS earlier
         WHERE earlier.subject_key = fresh.subject_key AND earlier.id < fresh.id
           AND earlier.source = fresh.source AND earlier.kind = fresh.kind
           AND earlier.created_at > fresh.created_at - $2 * interval '1 ms'
       ) AS is_repeated FROM fresh
     ), queued AS (
       UPDATE ${ALERTS_TABLE} AS alert SET queued_at = now() FROM fresh WHERE alert.id = fresh.id
     ), delivery AS (
       INSERT INTO ${DELIVERIES_TABLE} (alert_id, channel, settled_at, result)
       SELECT id, channel, CASE WHEN is_repeated THEN now() END,
         CASE WHEN is_repeated THEN 'suppressed' END
       FROM checked CROSS JOIN unnest($1::text[]) AS channel
       ON CONFLICT DO NOTHING
     )
     SELECT count(*) FILTER (WHERE is_repeated)::int AS repeated FROM checked`,
    [channels, issueIntervalMs],
  );
  return rows[0]?.repeated ?? 0;
}

/**
 * Claims what a channel may send now. Within the limit each alert is a message of its own; more of them than
 * the limit has left become one.
 *
 * The channel's row is locked meanwhile, so that all agents together keep to the limit.
 */
export async function claimAlerts(
  client: Client,
  channel: string,
  { messages, intervalMs, leaseMs, timeoutMs }: ClaimLimits,
): Promise<ClaimedAlerts | undefined> {
  const { rowCount } = await client.query(
    `SELECT FROM ${DELIVERIES_TABLE}
     WHERE channel = $1 AND settled_at IS NULL AND due_at <= now() LIMIT 1`,
    [channel],
  );
  // A lock is a write, with a flush of the disk: not for every look at nothing.
  if (rowCount === 0) return undefined;
  await client.query(`INSERT INTO ${CHANNELS_TABLE} (channel) VALUES ($1) ON CONFLICT DO NOTHING`, [
    channel,
  ]);
  const { rows } = await client.query<{ messages: number }>(
    `SELECT CASE WHEN interval_started_at + $2 * interval '1 ms' <= now() THEN 0
       ELSE messages END AS messages
     FROM ${CHANNELS_TABLE}
     WHERE channel = $1 AND (resume_at IS NULL OR resume_at <= now()) FOR UPDATE SKIP LOCKED`,
    [channel, intervalMs],
  );
  const [state] = rows;
  if (state === undefined || state.messages >= messages) return undefined;
  const left = messages - state.messages;
  // Those that one lease has time for, each with its timeout.
  const single = Math.min(left, Math.max(1, Math.floor(leaseMs / timeoutMs) - 1));
  const { rows: claimed } = await client.query<AlertRow & { due: string }>(
    `WITH due AS (
       SELECT alert_id, count(*) OVER () AS due FROM (
         SELECT alert_id FROM ${DELIVERIES_TABLE}
         WHERE channel = $1 AND settled_at IS NULL AND due_at <= now()
         ORDER BY alert_id LIMIT ${MAX_GROUPED} FOR UPDATE SKIP LOCKED
       ) AS open
     ), mine AS (
       SELECT alert_id, due FROM due ORDER BY alert_id
       LIMIT CASE WHEN (SELECT max(due) FROM due) > $2 THEN ${MAX_GROUPED} ELSE $3 END
     ), leased AS (
       UPDATE ${DELIVERIES_TABLE} AS delivery
       SET attempts = attempts + 1, due_at = now() + $4 * interval '1 ms'
       FROM mine WHERE delivery.alert_id = mine.alert_id AND delivery.channel = $1
     )
     SELECT id, event_id, kind, source, subject, created_at, due
     FROM mine JOIN ${ALERTS_TABLE} ON id = alert_id ORDER BY id`,
    [channel, left, single, leaseMs],
  );
  if (claimed.length === 0) return undefined;
  const isGrouped = Number(claimed[0]?.due) > left;
  await client.query(
    `UPDATE ${CHANNELS_TABLE} SET
       interval_started_at = CASE WHEN $3 = 0 THEN now() ELSE interval_started_at END,
       messages = $3 + $2 WHERE channel = $1`,
    [channel, isGrouped ? 1 : claimed.length, state.messages],
  );
  return { isGrouped, alerts: claimed.map(toAlert) };
}

/** Notes that the other side has taken alerts, or never will. */
export async function settleAlerts(
  client: Client,
  channel: string,
  alerts: readonly ClaimedAlert[],
  { result, reason }: { result: "sent" | "rejected"; reason?: string | undefined },
): Promise<void> {
  await client.query(
    `UPDATE ${DELIVERIES_TABLE} SET settled_at = now(), result = $3, reason = $4
     WHERE channel = $1 AND alert_id = ANY ($2::bigint[])`,
    [channel, idsOf(alerts), result, reason ?? null],
  );
  await client.query(`UPDATE ${CHANNELS_TABLE} SET resume_at = NULL WHERE channel = $1`, [channel]);
}

/**
 * Lets claimed alerts go and leaves the channel alone for a while; those older than `giveUpAfterMs` are
 * given up. @returns how many those are.
 */
export async function releaseAlerts(
  client: Client,
  channel: string,
  alerts: readonly ClaimedAlert[],
  failure: { reason: string; pauseMs: number; giveUpAfterMs: number },
): Promise<number> {
  await client.query(
    `UPDATE ${CHANNELS_TABLE} SET resume_at = now() + $2 * interval '1 ms' WHERE channel = $1`,
    [channel, failure.pauseMs],
  );
  await client.query(
    `UPDATE ${DELIVERIES_TABLE} SET due_at = now(), reason = $3
     WHERE channel = $1 AND alert_id = ANY ($2::bigint[]) AND settled_at IS NULL`,
    [channel, idsOf(alerts), failure.reason],
  );
  const { rowCount } = await client.query(
    `UPDATE ${DELIVERIES_TABLE} AS delivery SET settled_at = now(), result = 'expired'
     FROM ${ALERTS_TABLE} AS alert
     WHERE delivery.channel = $1 AND delivery.settled_at IS NULL AND alert.id = delivery.alert_id
       AND alert.created_at < now() - $2 * interval '1 ms'`,
    [channel, failure.giveUpAfterMs],
  );
  return rowCount ?? 0;
}

/** Alerts that each channel has still to send, those that nobody has queued yet included. */
export async function countPending(
  client: Client,
  channels: readonly string[],
): Promise<Map<string, number>> {
  const { rows } = await client.query<{ channel: string; pending: number }>(
    `SELECT channel, (
         SELECT count(*) FROM ${DELIVERIES_TABLE} AS delivery
         WHERE delivery.channel = wanted.channel AND settled_at IS NULL
       )::int + (SELECT count(*) FROM ${ALERTS_TABLE} WHERE queued_at IS NULL)::int AS pending
     FROM unnest($1::text[]) AS wanted(channel)`,
    [channels],
  );
  return new Map(rows.map(({ channel, pending }) => [channel, pending]));
}

/** One message's id: its alert's, or for a group one made of all of theirs. */
export function messageId(alerts: readonly Alert[]): string {
  const [first] = alerts;
  if (alerts.length === 1 && first !== undefined) return first.id;
  const hash = createHash("sha256");
  for (const { id } of alerts) hash.update(id);
  return `digest-${hash.digest("hex").slice(0, 32)}`;
}

interface AlertRow {
  id: string;
  event_id: string;
  kind: Alert["kind"];
  source: string;
  subject: Record<string, unknown>;
  created_at: Date;
}

function toAlert(row: AlertRow): ClaimedAlert {
  return {
    alertId: row.id,
    id: row.event_id,
    kind: row.kind,
    source: row.source,
    issue: row.subject,
    createdAt: row.created_at,
  };
}

function idsOf(alerts: readonly ClaimedAlert[]): string[] {
  return alerts.map(({ alertId }) => alertId);
}
