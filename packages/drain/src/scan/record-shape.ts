/** A field's key as a record without spaces has it before the value: `"name":`. */
export class ShapeKey {
  readonly slot: number;
  readonly length: number;
  readonly #bytes: Buffer;
  /** The bytes four at a time, the last ones filled up with zeros. */
  readonly #words: Int32Array;
  /** Of the last word, what belongs to the key. */
  readonly #lastMask: number;

  constructor(field: string, slot: number) {
    this.slot = slot;
    this.#bytes = Buffer.from(`${JSON.stringify(field)}:`);
    this.length = this.#bytes.byteLength;
    const padded = Buffer.alloc(Math.ceil(this.length / 4) * 4);
    this.#bytes.copy(padded);
    this.#words = Int32Array.from({ length: padded.byteLength / 4 }, (_, index) =>
      padded.readInt32LE(index * 4),
    );
    const restBytes = this.length % 4;
    this.#lastMask = restBytes === 0 ? -1 : (1 << (restBytes * 8)) - 1;
  }

  /** Whether the key is at `at`. By words: more than half of what scanning costs is comparing keys. */
  isAt(view: DataView, at: number): boolean {
    const words = this.#words;
    if (at + words.length * 4 > view.byteLength) return this.#isAtEnd(view, at);
    const last = words.length - 1;
    for (let index = 0; index < last; index++) {
      if (view.getInt32(at + index * 4, true) !== words[index]) return false;
    }
    const difference = view.getInt32(at + last * 4, true) ^ (words[last] as number);
    return (difference & this.#lastMask) === 0;
  }

  #isAtEnd(view: DataView, at: number): boolean {
    if (at + this.length > view.byteLength) return false;
    return this.#bytes.every((byte, index) => view.getUint8(at + index) === byte);
  }
}

/** The fields that records of one type are known to have, each with a slot of its own. */
export class RecordShape {
  /** What the field `t` holds. */
  readonly type: Uint8Array;
  readonly slots: number;
  /**
   * The order in which the fields came last. Senders keep to one, so that most keys are found by one
   * comparison, without looking for their end.
   */
  readonly order: Array<ShapeKey | undefined> = [];
  readonly #keys: ReadonlyMap<string, ShapeKey>;

  /** @param fields the slot of each is its place; `t` is among them. */
  constructor(type: string, fields: readonly string[]) {
    this.type = Buffer.from(type);
    this.slots = fields.length;
    this.#keys = new Map(fields.map((field, slot) => [field, new ShapeKey(field, slot)]));
  }

  /**
   * The slot of a field; -1 when the shape has none of this name.
   *
   * @param place of the field among those of its record.
   */
  slotOf(name: string, place: number): number {
    const key = this.#keys.get(name);
    this.order[place] = key;
    return key?.slot ?? -1;
  }
}
