/** What the key columns hold in the row that counts the records of keys which get none of their own. */
export const OTHER_KEY = "(other)";

/** Characters of all key columns together: PostgreSQL's index entries end at 2,704 bytes. */
const MAX_KEY_LENGTH = 512;
const HOUR_MS = 3_600_000;

/**
 * Decides which keys get rows of their own: the first `maxKeys` that each token sends in an hour.
 *
 * A key that is new with every record would make the rollup as large as the table it sums up, twice,
 * and landing slower than sending.
 */
export class KeyBudget {
  readonly #maxKeys: number;
  #hour = Number.NEGATIVE_INFINITY;
  readonly #keysByToken = new Map<string, Set<string>>();

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
  }

  /** @param receivedAt - of the payload, in Unix milliseconds. */
  admits(token: string, key: string, receivedAt: number): boolean {
    if (key.length > MAX_KEY_LENGTH) return false;
    const hour = Math.floor(receivedAt / HOUR_MS);
    if (hour > this.#hour) {
      this.#hour = hour;
      this.#keysByToken.clear();
    }
    let keys = this.#keysByToken.get(token);
    if (keys === undefined) {
      keys = new Set();
      this.#keysByToken.set(token, keys);
    }
    if (keys.has(key)) return true;
    if (keys.size >= this.#maxKeys) return false;
    keys.add(key);
    return true;
  }
}
