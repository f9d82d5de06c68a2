import type { ClaimedBatch } from "@millrace/core/buffer";
import type { EncodedRecord, Segment } from "../batch/segments.ts";
import type { DeadLetter } from "../write/dead-letters.ts";
import type { RefusedRecord } from "../write/isolation.ts";
import type { StoredLetter } from "./stored-letter.ts";

const OPEN = Buffer.from("[");
const CLOSE = Buffer.from("]");

/** Why a letter, or a record of its payload, still cannot land. */
export interface Failure {
  code: string;
  reason: string;
  destination: string | undefined;
}

/** Letters of one transaction as a batch that the drain can read, and what became of each. */
export class LetterBatch {
  /** The id of each payload is its letter's place in `letters`. */
  readonly batch: ClaimedBatch;
  readonly #letters: readonly StoredLetter[];
  /** Letters that hold something that was read. */
  readonly #seen = new Set<number>();
  readonly #failures = new Map<number, Failure>();
  /** Records that could not land of payloads that were letters as a whole, by letter. */
  readonly #fragments = new Map<number, DeadLetter[]>();

  constructor(letters: readonly StoredLetter[]) {
    this.#letters = letters;
    this.batch = {
      batchId: "",
      payloads: letters.map(({ receivedAt, token, content, recordIndex }, id) => ({
        id,
        receivedAt,
        token,
        payload: recordIndex === undefined ? content : Buffer.concat([OPEN, content, CLOSE]),
      })),
      earlierAttempts: 0,
      crashes: 0,
      convictedIds: [],
    };
  }

  /** Notes what decoding a segment has found. */
  read({ records, deadLetters }: Segment): void {
    for (const { payload } of records) this.#seen.add(payload.id);
    for (const letter of deadLetters) this.#fail(letter.payloadId, letter);
  }

  /** @param content the exact bytes of the record. */
  refuse(refused: RefusedRecord, toLetter: (record: EncodedRecord) => DeadLetter): void {
    this.#fail(refused.record.payload.id, toLetter(refused.record));
  }

  /** Letters that may go: all they held has landed, or is among {@link LetterBatch.fragments}. */
  get landed(): StoredLetter[] {
    return this.#letters.filter((_, index) => !this.#failures.has(index) && this.#isRead(index));
  }

  /** Letters that stay, each with its new reason. */
  get stillDead(): Array<{ letter: StoredLetter; failure: Failure }> {
    return this.#letters.flatMap((letter, index) => {
      const failure = this.#failures.get(index);
      if (failure !== undefined) return [{ letter, failure }];
      if (this.#isRead(index)) return [];
      return [
        { letter, failure: { code: letter.code, reason: letter.reason, destination: undefined } },
      ];
    });
  }

  /** New letters in the place of a payload some of whose records have landed. */
  get fragments(): Array<{ letter: StoredLetter; records: DeadLetter[] }> {
    return this.#letters.flatMap((letter, index) => {
      const records = this.#fragments.get(index);
      return records === undefined ? [] : [{ letter, records }];
    });
  }

  #fail(index: number, dead: DeadLetter): void {
    const letter = this.#letters[index];
    if (letter === undefined) return;
    this.#seen.add(index);
    const { code, reason, destination } = dead;
    if (letter.recordIndex !== undefined || dead.recordIndex === undefined) {
      this.#failures.set(index, { code, reason, destination });
      return;
    }
    const records = this.#fragments.get(index) ?? [];
    records.push({ ...dead, payloadId: letter.payloadId });
    this.#fragments.set(index, records);
  }

  /** A record's letter that holds nothing must not go without a trace; a payload may be an empty array. */
  #isRead(index: number): boolean {
    return this.#seen.has(index) || this.#letters[index]?.recordIndex === undefined;
  }
}
