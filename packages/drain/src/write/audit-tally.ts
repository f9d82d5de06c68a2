import type { ClaimedBatch } from "@millrace/core/buffer";
import type { Client } from "pg";
import { AUDIT_PAYLOADS_TABLE, AUDIT_RECORDS_TABLE } from "../schema/audit-tables.ts";

const HOUR_MS = 3_600_000;

/** Whose rows of the audit a transaction adds to. */
export interface AuditSource {
  bufferId: string;
  worker: number;
}

/** Replays and discards of dead letters. */
export const LETTERS_SOURCE: AuditSource = {
  bufferId: "00000000-0000-0000-0000-000000000000",
  worker: 0,
};

/** Start of the hour of a moment, both in Unix milliseconds. */
function hourOf(moment: number): number {
  return Math.floor(moment / HOUR_MS) * HOUR_MS;
}

/** The payloads of a batch, hour of receipt by hour of receipt: nearly always the batch itself. */
export function splitByHour(batch: ClaimedBatch): ClaimedBatch[] {
  const starts: number[] = [];
  let current: number | undefined;
  let index = 0;
  for (const { receivedAt } of batch.payloads) {
    const hour = hourOf(receivedAt);
    if (hour !== current) starts.push(index);
    current = hour;
    index++;
  }
  if (starts.length === 1) return [batch];
  const payloads = [...batch.payloads];
  return starts.map((start, part) => ({
    ...batch,
    payloads: payloads.slice(start, starts[part + 1]),
  }));
}

interface HourTally {
  payloads: number;
  firstPayloadId: number | undefined;
  lastPayloadId: number | undefined;
  deadLetters: number;
  replayed: number;
  records: Map<string, number>;
}

/** What one transaction adds to the audit, by hour of receipt. */
export class AuditTally {
  readonly #hours = new Map<number, HourTally>();

  /** @param part of a batch, all received in one hour. */
  addPayloads({ payloads }: ClaimedBatch): void {
    const first = payloads.at(0);
    const last = payloads.at(-1);
    if (first === undefined || last === undefined) return;
    const hour = this.#hour(first.receivedAt);
    hour.payloads += payloads.length;
    hour.firstPayloadId = Math.min(hour.firstPayloadId ?? first.id, first.id);
    hour.lastPayloadId = Math.max(hour.lastPayloadId ?? last.id, last.id);
  }

  addRecords(receivedAt: number, table: string, records: number): void {
    const hour = this.#hour(receivedAt);
    hour.records.set(table, (hour.records.get(table) ?? 0) + records);
  }

  addDeadLetters(receivedAt: number, letters: number): void {
    this.#hour(receivedAt).deadLetters += letters;
  }

  addReplayed(receivedAt: number, letters: number): void {
    this.#hour(receivedAt).replayed += letters;
  }

  /** Run it last in the transaction: rows are locked in one order, and held for the commit only. */
  async write(client: Client, { bufferId, worker }: AuditSource): Promise<void> {
    const payloads: string[] = [];
    const records: string[] = [];
    for (const [moment, tally] of [...this.#hours].toSorted(([left], [right]) => left - right)) {
      const key = `'${new Date(moment).toISOString()}', '${bufferId}', ${worker}`;
      const { firstPayloadId = "NULL", lastPayloadId = "NULL" } = tally;
      payloads.push(
        `(${key}, ${tally.payloads}, ${firstPayloadId}, ${lastPayloadId}, ${tally.deadLetters}, ${tally.replayed}, 0)`,
      );
      for (const [table, count] of [...tally.records].toSorted(byName)) {
        records.push(`(${key}, '${table.replaceAll("'", "''")}', ${count})`);
      }
    }
    if (payloads.length === 0) return;
    const statements = [payloadsStatement(`VALUES ${payloads.join(", ")}`)];
    if (records.length > 0) statements.push(recordsStatement(`VALUES ${records.join(", ")}`));
    await client.query(statements.join(";"));
  }

  #hour(receivedAt: number): HourTally {
    const moment = hourOf(receivedAt);
    let tally = this.#hours.get(moment);
    if (tally === undefined) {
      tally = {
        payloads: 0,
        firstPayloadId: undefined,
        lastPayloadId: undefined,
        deadLetters: 0,
        replayed: 0,
        records: new Map(),
      };
      this.#hours.set(moment, tally);
    }
    return tally;
  }
}

/** @param rows a query of rows in the order of the columns. */
export function payloadsStatement(rows: string): string {
  return `INSERT INTO ${AUDIT_PAYLOADS_TABLE} AS audit
    (hour, buffer_id, worker, payloads, first_payload_id, last_payload_id, dead_letters, replayed, discarded)
    ${rows}
    ON CONFLICT (hour, buffer_id, worker) DO UPDATE SET
      payloads = audit.payloads + excluded.payloads,
      first_payload_id = least(audit.first_payload_id, excluded.first_payload_id),
      last_payload_id = greatest(audit.last_payload_id, excluded.last_payload_id),
      dead_letters = audit.dead_letters + excluded.dead_letters,
      replayed = audit.replayed + excluded.replayed,
      discarded = audit.discarded + excluded.discarded`;
}

function recordsStatement(rows: string): string {
  return `INSERT INTO ${AUDIT_RECORDS_TABLE} AS audit (hour, buffer_id, worker, destination, records)
    ${rows}
    ON CONFLICT (hour, buffer_id, worker, destination) DO UPDATE SET
      records = audit.records + excluded.records`;
}

function byName([left]: readonly [string, number], [right]: readonly [string, number]): number {
  return left < right ? -1 : 1;
}
