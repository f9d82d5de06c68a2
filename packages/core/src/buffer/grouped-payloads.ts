/** A payload as it was received. */
export interface BufferedPayload {
  /** Its place in the order of arrival; never reused. */
  id: number;
  /** Unix time in milliseconds. */
  receivedAt: number;
  /** Name of the token that it was sent with. */
  token: string;
  /** The bytes as received: gzip stays gzip. */
  payload: Buffer;
}

/** Payloads in the order of their ids. An array of them is one. */
export interface PayloadList extends Iterable<BufferedPayload> {
  readonly length: number;
  /** As `Array.prototype.at`. */
  at(index: number): BufferedPayload | undefined;
  map<Result>(each: (payload: BufferedPayload) => Result): Result[];
  /**
   * Frees their bytes at once, which the garbage collector would come to some batches later; those that
   * were handed out are then empty. An array has none to free.
   */
  free?(): void;
}

/**
 * Payloads that share the memory of their groups. Each becomes an object only when it is asked for:
 * thousands at once would outlive the young generation.
 */
export class GroupedPayloads implements PayloadList {
  readonly #groups: Buffer[] = [];
  readonly #groupOf: number[] = [];
  readonly #ids: number[] = [];
  readonly #receivedAts: number[] = [];
  readonly #tokens: string[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  get length(): number {
    return this.#ids.length;
  }

  /** Adds memory that the payloads added next are in. */
  addGroup(bytes: Buffer): void {
    this.#groups.push(bytes);
  }

  /** @param start of the payload in the group that was added last. */
  add(id: number, receivedAt: number, token: string, start: number, end: number): void {
    this.#groupOf.push(this.#groups.length - 1);
    this.#ids.push(id);
    this.#receivedAts.push(receivedAt);
    this.#tokens.push(token);
    this.#starts.push(start);
    this.#ends.push(end);
  }

  at(index: number): BufferedPayload | undefined {
    const place = index < 0 ? this.length + index : index;
    const group = this.#groups[this.#groupOf[place] ?? -1];
    if (group === undefined) return undefined;
    return {
      id: this.#ids[place] as number,
      receivedAt: this.#receivedAts[place] as number,
      token: this.#tokens[place] as string,
      payload: group.subarray(this.#starts[place], this.#ends[place]),
    };
  }

  map<Result>(each: (payload: BufferedPayload) => Result): Result[] {
    return Array.from(this, each);
  }

  free(): void {
    for (const { buffer, byteLength } of this.#groups) {
      // Only memory of its own: a part of Node's pool belongs to others too.
      if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
    }
  }

  *[Symbol.iterator](): Generator<BufferedPayload> {
    for (let index = 0; index < this.length; index++) yield this.at(index) as BufferedPayload;
  }
}
