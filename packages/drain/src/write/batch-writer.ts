import type { ClaimedBatch } from "@millrace/core/buffer";
import type { Client } from "pg";
import type { ScannedPayloads } from "../batch/scanned-payloads.ts";
import { PayloadTexts } from "../batch/payload-texts.ts";
import { CopyTextPool } from "../batch/copy-text-pool.ts";
import { readCopySegments } from "../batch/copy-segments.ts";
import { readSegments, refusedByServer, type SegmentLimits } from "../batch/segments.ts";
import type { Router } from "../encode/router.ts";
import type { CompiledUpserts } from "../upsert/compiled-upserts.ts";
import { type AuditSource, AuditTally, splitByHour } from "./audit-tally.ts";
import { copyIn } from "./copy.ts";
import { copyDeadLetters, type DeadLetter } from "./dead-letters.ts";
import { Isolation } from "./isolation.ts";
import { runUpserts } from "./landing.ts";
import { type BeginOptions, beginBatch, commitBatch } from "./ledger.ts";
import type { TableBreakers } from "./table-breaker.ts";

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

export interface BatchWriterOptions extends BeginOptions, AuditSource {
  router: Router;
  scanned: ScannedPayloads;
  upserts: CompiledUpserts;
  limits: SegmentLimits;
  breakers: TableBreakers;
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

/** Lands batches, each in one transaction together with its entry in the ledger. */
export class BatchWriter {
  readonly #options: BatchWriterOptions;
  readonly #texts = new CopyTextPool();

  constructor(options: BatchWriterOptions) {
    this.#options = options;
  }

  async write(client: Client, batch: ClaimedBatch, mode: WriteMode): Promise<LandedBatch> {
    const { breakers } = this.#options;
    // A table whose breaker is open would fail the batch as a whole.
    const isolating = mode.isolating || breakers.isAnyOpen;
    try {
      const landed = await this.#write(client, batch, { ...mode, isolating });
      if (!isolating) for (const table of landed.records.keys()) breakers.landed(table);
      breakers.commit();
      return landed;
    } catch (error) {
      breakers.rollBack();
      throw error;
    }
  }

  async #write(client: Client, batch: ClaimedBatch, mode: WriteMode): Promise<LandedBatch> {
    const landed = nothingLanded();
    if (!(await beginBatch(client, this.#options, batch))) return { ...landed, wasLanded: true };
    const tally = new AuditTally();
    const parts = splitByHour(batch);
    for (const part of parts) tally.addPayloads(part);
    if (mode.isolating) await this.#landIsolating(client, batch, mode, landed, tally);
    else await this.#landWhole(client, parts, mode, landed, tally);
    await tally.write(client, this.#options);
    await commitBatch(client);
    return landed;
  }

  /** The first refused row ends it. */
  async #landWhole(
    client: Client,
    parts: readonly ClaimedBatch[],
    { onProgress }: WriteMode,
    landed: LandedBatch,
    tally: AuditTally,
  ): Promise<void> {
    const { router, scanned, upserts, limits } = this.#options;
    const groups = upserts.createGroups();
    for (const part of parts) {
      const receivedAt = part.payloads.at(0)?.receivedAt ?? 0;
      const segments = readCopySegments(
        part,
        router,
        scanned,
        limits,
        this.#texts,
        (record, meta) => upserts.collect(groups, record, meta),
      );
      for (const { tables, deadLetters } of segments) {
        for (const [table, text] of tables) {
          if (table.copySql !== undefined) await copyIn(client, table.copySql, text.bytes());
          countRecords(landed, table.name, text.lines);
          tally.addRecords(receivedAt, table.name, text.lines);
          // Not after an error: the socket may still read it.
          this.#texts.giveBack(table, text);
        }
        await copyDeadLetters(client, part.batchId, deadLetters);
        countDeadLetters(landed, deadLetters, tally);
        onProgress();
      }
    }
    await runUpserts(client, upserts, groups);
  }

  /** Every row that is refused becomes a dead letter. */
  async #landIsolating(
    client: Client,
    batch: ClaimedBatch,
    { beforePayload, onProgress }: WriteMode,
    landed: LandedBatch,
    tally: AuditTally,
  ): Promise<void> {
    const { router, upserts, limits, breakers } = this.#options;
    // A deferred constraint would speak at COMMIT, when it is too late to tell whom it means.
    await client.query("SET CONSTRAINTS ALL IMMEDIATE");
    const texts = new PayloadTexts(limits);
    const isolation = new Isolation({
      client,
      upserts,
      breakers,
      onProgress,
      onLanded: (records) => {
        for (const { table, meta } of records) {
          countRecords(landed, table.name, 1);
          tally.addRecords(meta.receivedAt, table.name, 1);
        }
      },
    });
    for (const segment of readSegments(batch, router, limits, beforePayload)) {
      for (const refused of await isolation.land(segment.records)) {
        const { payload, recordIndex } = refused.record;
        const content = texts.recordBytes(payload, recordIndex);
        segment.deadLetters.push(refusedByServer(refused.record, content, refused));
      }
      await copyDeadLetters(client, batch.batchId, segment.deadLetters);
      countDeadLetters(landed, segment.deadLetters, tally);
      onProgress();
    }
  }
}

function nothingLanded(): LandedBatch {
  return { wasLanded: false, records: new Map(), deadLetters: new Map(), deadPayloads: 0 };
}

function countRecords(landed: LandedBatch, table: string, records: number): void {
  landed.records.set(table, (landed.records.get(table) ?? 0) + records);
}

function countDeadLetters(
  landed: LandedBatch,
  letters: readonly DeadLetter[],
  tally: AuditTally,
): void {
  for (const { code, recordIndex, receivedAt } of letters) {
    tally.addDeadLetters(receivedAt, 1);
    landed.deadLetters.set(code, (landed.deadLetters.get(code) ?? 0) + 1);
    if (recordIndex === undefined) landed.deadPayloads++;
  }
}
