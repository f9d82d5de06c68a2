import type { Client } from "pg";
import { PayloadTexts } from "../batch/payload-texts.ts";
import { readSegments, refusedByServer, type SegmentLimits } from "../batch/segments.ts";
import { compileRouter, type Router } from "../encode/router.ts";
import { DEAD_LETTER_TABLE } from "../schema/bookkeeping.ts";
import type { DrainSchema } from "../schema/drain-schema.ts";
import { type CompiledUpserts, compileUpserts } from "../upsert/compiled-upserts.ts";
import { AuditTally, LETTERS_SOURCE } from "../write/audit-tally.ts";
import { copyDeadLetters, storableReason } from "../write/dead-letters.ts";
import { Isolation } from "../write/isolation.ts";
import { type Failure, LetterBatch } from "./letter-batch.ts";
import { lockLetters, type StoredLetter } from "./stored-letter.ts";

/** What one transaction of a replay has done. */
export interface ReplayedChunk {
  /** Letters that are gone. */
  replayed: number;
  /** Codes of those that are there still, or in the place of a payload. */
  stillDead: string[];
}

/** Lands dead letters by the way that records take from the buffer. */
export class LetterReplay {
  readonly #router: Router;
  readonly #upserts: CompiledUpserts;
  readonly #limits: SegmentLimits;

  constructor(schema: DrainSchema, limits: SegmentLimits) {
    this.#router = compileRouter(schema);
    this.#upserts = compileUpserts(schema);
    this.#limits = limits;
  }

  /**
   * Lands letters and deletes them in the transaction that is open, so that both happen or neither;
   * those that are gone by now, or that another replay holds, are left out.
   */
  async run(
    client: Client,
    ids: readonly number[],
    onProgress: () => void,
  ): Promise<ReplayedChunk> {
    const letters = await lockLetters(client, ids);
    if (letters.length === 0) return { replayed: 0, stillDead: [] };
    // A deferred constraint would speak at COMMIT, when it is too late to tell whom it means.
    await client.query("SET CONSTRAINTS ALL IMMEDIATE");
    const tally = new AuditTally();
    const outcome = await this.#land(client, new LetterBatch(letters), onProgress, tally);
    const { landed, stillDead, fragments } = outcome;
    await deleteLetters(client, landed);
    await keepLetters(client, stillDead);
    for (const { letter, records } of fragments) {
      await copyDeadLetters(client, letter.batchId, records, letter.attempts + 1);
      tally.addDeadLetters(letter.receivedAt, records.length);
    }
    for (const { receivedAt } of landed) tally.addReplayed(receivedAt, 1);
    await tally.write(client, LETTERS_SOURCE);
    return {
      replayed: landed.length,
      stillDead: [
        ...stillDead.map(({ failure }) => failure.code),
        ...fragments.flatMap(({ records }) => records.map(({ code }) => code)),
      ],
    };
  }

  async #land(
    client: Client,
    letters: LetterBatch,
    onProgress: () => void,
    tally: AuditTally,
  ): Promise<LetterBatch> {
    const isolation = new Isolation({
      client,
      upserts: this.#upserts,
      // Whoever replays wants to know of each whether it lands.
      breakers: undefined,
      onProgress,
      onLanded: (records) => {
        for (const { table, meta } of records) tally.addRecords(meta.receivedAt, table.name, 1);
      },
    });
    const texts = new PayloadTexts(this.#limits);
    for (const segment of readSegments(letters.batch, this.#router, this.#limits)) {
      letters.read(segment);
      for (const refused of await isolation.land(segment.records)) {
        letters.refuse(refused, (record) =>
          refusedByServer(record, texts.recordBytes(record.payload, record.recordIndex), refused),
        );
      }
    }
    return letters;
  }
}

async function deleteLetters(client: Client, letters: readonly StoredLetter[]): Promise<void> {
  const { rowCount } = await client.query(
    `DELETE FROM ${DEAD_LETTER_TABLE} WHERE id = ANY ($1::bigint[])`,
    [letters.map(({ id }) => id)],
  );
  // A rule or trigger that keeps them would let them land again and again.
  if (rowCount !== letters.length) {
    throw new Error(`${letters.length} letters have landed, but only ${rowCount} could be deleted`);
  }
}

async function keepLetters(
  client: Client,
  letters: ReadonlyArray<{ letter: StoredLetter; failure: Failure }>,
): Promise<void> {
  if (letters.length === 0) return;
  await client.query(
    `UPDATE ${DEAD_LETTER_TABLE} AS dead
     SET code = tried.code, reason = tried.reason,
       destination = coalesce(tried.destination, dead.destination),
       attempts = dead.attempts + 1, last_tried_at = now()
     FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
       AS tried(id, code, reason, destination)
     WHERE dead.id = tried.id`,
    [
      letters.map(({ letter }) => letter.id),
      letters.map(({ failure }) => failure.code),
      letters.map(({ failure }) => storableReason(failure.reason)),
      letters.map(({ failure }) => failure.destination ?? null),
    ],
  );
}
