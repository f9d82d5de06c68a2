import { messageOf } from "@millrace/core";
import type { ClaimedBatch } from "@millrace/core/buffer";
import type { Client } from "pg";
import { PayloadTexts } from "../batch/payload-texts.ts";
import {
  type EncodedRecord,
  readSegments,
  refusedByServer,
  type SegmentLimits,
} from "../batch/segments.ts";
import type { Router } from "../encode/router.ts";
import type { CompiledUpserts, UpsertGroups } from "../upsert/compiled-upserts.ts";
import { copyIn } from "./copy.ts";
import { copyDeadLetters, type DeadLetter } from "./dead-letters.ts";
import { beginBatch, commitBatch } from "./ledger.ts";
import { classifyFailure, copyLineOf, sqlStateOf } from "./sqlstate.ts";

/** What landed with one batch. */
export interface LandedBatch {
  /** True when an earlier try had landed it: the counts are then 0. */
  wasLanded: boolean;
  /** Records by table. */
  records: Map<string, number>;
  /** Dead letters by code. */
  deadLetters: Map<string, number>;
  /** Payloads that are dead letters as a whole. */
  deadPayloads: number;
}

export interface BatchWriterOptions {
  bufferId: string;
  router: Router;
  upserts: CompiledUpserts;
  limits: SegmentLimits;
  /** How long the server may take for one statement, in milliseconds. */
  statementTimeoutMs: number;
}

/** How one try of a batch goes about it. */
export interface WriteMode {
  /**
   * False: a row that the server refuses fails the batch. True: it becomes a dead letter and the
   * rest lands, at the price of savepoints.
   */
  isolating: boolean;
  /** Called with the id of each payload before it is read; each is then landed by itself. */
  beforePayload?: ((payloadId: number) => void) | undefined;
  /** Called whenever the server has taken, or refused, a piece of the batch. */
  onProgress: () => void;
}

/**
 * How many records the server's own line number may single out in one piece of a batch before the
 * piece is halved instead: each costs a COPY of the whole piece.
 */
const MAX_LINE_HINTS = 8;

/** Lands batches, each in one transaction together with its entry in the ledger. */
export class BatchWriter {
  readonly #options: BatchWriterOptions;

  constructor(options: BatchWriterOptions) {
    this.#options = options;
  }

  async write(client: Client, batch: ClaimedBatch, mode: WriteMode): Promise<LandedBatch> {
    const { router, upserts, limits } = this.#options;
    const landed = nothingLanded();
    if (!(await beginBatch(client, this.#options, batch))) return { ...landed, wasLanded: true };
    // A deferred constraint would speak at COMMIT, when it is too late to tell whom it means.
    if (mode.isolating) await client.query("SET CONSTRAINTS ALL IMMEDIATE");
    const groups = upserts.createGroups();
    const isolation = {
      client,
      landed,
      onProgress: mode.onProgress,
      texts: new PayloadTexts(limits),
    };
    for (const segment of readSegments(batch, router, limits, mode.beforePayload)) {
      if (mode.isolating) {
        segment.deadLetters.push(...(await this.#landIsolating(isolation, segment.records)));
      } else {
        await this.#land(client, segment.records, groups);
        countRecords(landed, segment.records);
      }
      await copyDeadLetters(client, batch.batchId, segment.deadLetters);
      countDeadLetters(landed, segment.deadLetters);
      mode.onProgress();
    }
    await runUpserts(client, upserts, groups);
    await commitBatch(client);
    return landed;
  }

  async #land(
    client: Client,
    records: readonly EncodedRecord[],
    groups: UpsertGroups,
  ): Promise<void> {
    try {
      await copyRecords(client, records);
    } catch (error) {
      throw error instanceof CopyRefused ? error.cause : error;
    }
    collect(this.#options.upserts, groups, records);
  }

  /** Lands records under a savepoint; @returns those that the server would not take. */
  async #landIsolating(
    isolation: Isolation,
    records: readonly EncodedRecord[],
  ): Promise<DeadLetter[]> {
    const letters: DeadLetter[] = [];
    let rest = records;
    for (let hints = 0; rest.length > 0; hints++) {
      const refusal = await this.#tryLand(isolation.client, rest);
      isolation.onProgress();
      if (refusal === undefined) {
        countRecords(isolation.landed, rest);
        break;
      }
      const { culprit } = refusal;
      if (rest.length === 1) {
        letters.push(...rest.map((record) => toDeadLetter(isolation, record, refusal.error)));
        break;
      }
      if (culprit !== undefined && hints < MAX_LINE_HINTS) {
        // By itself, to be sure: the line may be wrong, and a good record must not pay for it.
        letters.push(...(await this.#landIsolating(isolation, [culprit])));
        rest = rest.filter((record) => record !== culprit);
        continue;
      }
      const middle = rest.length >> 1;
      letters.push(...(await this.#landIsolating(isolation, rest.slice(0, middle))));
      letters.push(...(await this.#landIsolating(isolation, rest.slice(middle))));
      break;
    }
    return letters;
  }

  /** @returns undefined when all landed, else the error and, if the server named it, the culprit. */
  async #tryLand(
    client: Client,
    records: readonly EncodedRecord[],
  ): Promise<{ error: unknown; culprit: EncodedRecord | undefined } | undefined> {
    const { upserts } = this.#options;
    await client.query("SAVEPOINT piece");
    try {
      await copyRecords(client, records);
      const groups = upserts.createGroups();
      collect(upserts, groups, records);
      await runUpserts(client, upserts, groups);
      await client.query("RELEASE SAVEPOINT piece");
      return undefined;
    } catch (error) {
      const cause = error instanceof CopyRefused ? error.cause : error;
      if (classifyFailure(cause) !== "data") throw cause;
      await client.query("ROLLBACK TO SAVEPOINT piece");
      const line = copyLineOf(cause);
      const culprit =
        error instanceof CopyRefused && line !== undefined ? error.records[line - 1] : undefined;
      return { error: cause, culprit };
    }
  }
}

/** What the pieces of one isolating try share. */
interface Isolation {
  client: Client;
  landed: LandedBatch;
  onProgress: () => void;
  texts: PayloadTexts;
}

function toDeadLetter({ texts }: Isolation, record: EncodedRecord, error: unknown): DeadLetter {
  return refusedByServer(record, texts.recordBytes(record.payload, record.recordIndex), {
    code: `sqlstate_${sqlStateOf(error) ?? "unknown"}`,
    reason: messageOf(error),
  });
}

/** A COPY that failed, with its records in the order of its lines. */
class CopyRefused extends Error {
  readonly records: readonly EncodedRecord[];

  constructor(records: readonly EncodedRecord[], cause: unknown) {
    super("COPY was refused", { cause });
    this.records = records;
  }
}

/** One COPY a table. @throws {@link CopyRefused} */
async function copyRecords(client: Client, records: readonly EncodedRecord[]): Promise<void> {
  for (const [table, rows] of Map.groupBy(records, (record) => record.table)) {
    if (table.copySql === undefined) continue;
    try {
      await copyIn(client, table.copySql, Buffer.from(rows.map(({ line }) => line).join("")));
    } catch (error) {
      throw new CopyRefused(rows, error);
    }
  }
}

function collect(
  upserts: CompiledUpserts,
  groups: UpsertGroups,
  records: readonly EncodedRecord[],
): void {
  for (const { record, meta } of records) upserts.collect(groups, record, meta);
}

async function runUpserts(
  client: Client,
  upserts: CompiledUpserts,
  groups: UpsertGroups,
): Promise<void> {
  for (const statement of upserts.statements(groups)) await client.query(statement);
}

function nothingLanded(): LandedBatch {
  return { wasLanded: false, records: new Map(), deadLetters: new Map(), deadPayloads: 0 };
}

function countRecords(landed: LandedBatch, records: readonly EncodedRecord[]): void {
  for (const { table } of records) {
    landed.records.set(table.name, (landed.records.get(table.name) ?? 0) + 1);
  }
}

function countDeadLetters(landed: LandedBatch, letters: readonly DeadLetter[]): void {
  for (const { code, recordIndex } of letters) {
    landed.deadLetters.set(code, (landed.deadLetters.get(code) ?? 0) + 1);
    if (recordIndex === undefined) landed.deadPayloads++;
  }
}
