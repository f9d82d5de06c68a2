import { messageOf } from "@millrace/core/thread";
import type { Client } from "pg";
import type { EncodedRecord } from "../batch/segments.ts";
import type { CompiledUpserts } from "../upsert/compiled-upserts.ts";
import { collect, CopyRefused, copyRecords, runUpserts } from "./landing.ts";
import { classifyFailure, copyLineOf, sqlStateOf } from "./sqlstate.ts";
import type { TableBreakers } from "./table-breaker.ts";

/** A record that the server would not take. */
export interface RefusedRecord {
  readonly record: EncodedRecord;
  /** `sqlstate_` and the server's code. */
  readonly code: string;
  readonly reason: string;
}

export interface IsolationOptions {
  client: Client;
  upserts: CompiledUpserts;
  /** Undefined: every refused row is found by itself, whatever that costs. */
  breakers: TableBreakers | undefined;
  /** Called whenever the server has taken, or refused, a piece. */
  onProgress: () => void;
  onLanded: (records: readonly EncodedRecord[]) => void;
}

/**
 * How many records the server's own line number may single out in one piece before the piece is
 * halved instead: each costs a COPY of the whole piece.
 */
const MAX_LINE_HINTS = 8;
/** Rows, spread evenly, that a table with an open breaker is asked about before all are given up. */
const MAX_SAMPLES = 16;

/**
 * Lands records under savepoints, in smaller and smaller pieces, until those that the server refuses
 * are alone. Call it within a transaction.
 */
export class Isolation {
  readonly #options: IsolationOptions;
  #refused: RefusedRecord[] = [];
  /** Records of tables whose breaker is open. */
  #held: EncodedRecord[] = [];

  constructor(options: IsolationOptions) {
    this.#options = options;
  }

  /** @returns those of `records` that did not land. */
  async land(records: readonly EncodedRecord[]): Promise<RefusedRecord[]> {
    this.#refused = [];
    await this.#search(records);
    while (this.#held.length > 0) {
      const byTable = Map.groupBy(this.#held.splice(0), ({ table }) => table.name);
      for (const [table, rows] of byTable) await this.#landHeld(table, rows);
    }
    return this.#refused;
  }

  async #search(records: readonly EncodedRecord[]): Promise<void> {
    let rest = records;
    for (let hints = 0; ; hints++) {
      rest = this.#holdBack(rest);
      const [first] = rest;
      if (first === undefined) return;
      const refusal = await this.#tryLand(rest);
      if (refusal === undefined) return;
      const { culprit } = refusal;
      if (rest.length === 1) {
        this.#refuse(first, refusal.error);
        return;
      }
      if (culprit === undefined || hints === MAX_LINE_HINTS) break;
      // By itself, to be sure: the line may be wrong, and a good record must not pay for it.
      await this.#search([culprit]);
      rest = rest.filter((record) => record !== culprit);
    }
    const middle = rest.length >> 1;
    await this.#search(rest.slice(0, middle));
    await this.#search(rest.slice(middle));
  }

  #holdBack(records: readonly EncodedRecord[]): readonly EncodedRecord[] {
    const { breakers } = this.#options;
    if (breakers?.isAnyOpen !== true) return records;
    const isHeld = ({ table }: EncodedRecord) => breakers.isOpen(table.name);
    this.#held.push(...records.filter(isHeld));
    return records.filter((record) => !isHeld(record));
  }

  /**
   * Asks a table whose breaker is open whether it takes all of `rows`, or any of a sample. All are
   * refused when it takes none; else the breaker has closed, and they are searched like any other.
   */
  async #landHeld(table: string, rows: readonly EncodedRecord[]): Promise<void> {
    const { breakers } = this.#options;
    const refusal = await this.#tryLand(rows);
    if (refusal === undefined) return;
    let { error } = refusal;
    const rest = new Set(rows);
    for (const sample of evenly(rows, MAX_SAMPLES)) {
      rest.delete(sample);
      const refused = await this.#tryLand([sample]);
      if (refused !== undefined) {
        error = refused.error;
        this.#refuse(sample, error);
      }
      if (breakers?.isOpen(table) === true) continue;
      await this.#search([...rest]);
      return;
    }
    const code = codeOf(error);
    const reason = `not tried by itself, the table refuses every row: ${messageOf(error)}`;
    for (const record of rest) this.#refused.push({ record, code, reason });
  }

  #refuse(record: EncodedRecord, error: unknown): void {
    this.#options.breakers?.refused(record.table.name, error);
    this.#refused.push({ record, code: codeOf(error), reason: messageOf(error) });
  }

  /** @returns undefined when all landed, else the error and, if the server named it, the culprit. */
  async #tryLand(
    records: readonly EncodedRecord[],
  ): Promise<{ error: unknown; culprit: EncodedRecord | undefined } | undefined> {
    const { client, upserts, breakers, onLanded, onProgress } = this.#options;
    await client.query("SAVEPOINT piece");
    try {
      await copyRecords(client, records);
      const groups = upserts.createGroups();
      collect(upserts, groups, records);
      await runUpserts(client, upserts, groups);
      await client.query("RELEASE SAVEPOINT piece");
    } catch (error) {
      const cause = error instanceof CopyRefused ? error.cause : error;
      if (classifyFailure(cause) !== "data") throw cause;
      await client.query("ROLLBACK TO SAVEPOINT piece");
      onProgress();
      const line = copyLineOf(cause);
      const culprit =
        error instanceof CopyRefused && line !== undefined ? error.records[line - 1] : undefined;
      return { error: cause, culprit };
    }
    onProgress();
    onLanded(records);
    for (const { table } of records) breakers?.landed(table.name);
    return undefined;
  }
}

function codeOf(error: unknown): string {
  return `sqlstate_${sqlStateOf(error) ?? "unknown"}`;
}

/** Up to `count` of `items`, the first and the last among them. */
function evenly<Item>(items: readonly Item[], count: number): Item[] {
  const last = items.length - 1;
  const indexes = Array.from({ length: count }, (_, index) =>
    Math.round((index * last) / (count - 1)),
  );
  return [...new Set(indexes)].flatMap((index) => items.slice(index, index + 1));
}
