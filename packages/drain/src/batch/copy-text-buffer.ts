const FIRST_BYTES = 64 * 1024;
/** UTF-8 takes at most three bytes for a UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3;

/**
 * Lines of COPY text as bytes. Each line is encoded while it is new: kept as strings until the end of
 * a batch, lines and all that they are made of would be copied by the garbage collector again and
 * again, a third of what landing cost.
 */
export class CopyTextBuffer {
  #bytes: Buffer;
  #length = 0;
  #lines = 0;

  constructor(capacityBytes: number = FIRST_BYTES) {
    this.#bytes = Buffer.allocUnsafe(capacityBytes);
  }

  get lines(): number {
    return this.#lines;
  }

  add(line: string): void {
    const neededBytes = this.#length + line.length * MAX_BYTES_PER_UNIT;
    if (neededBytes > this.#bytes.byteLength) this.#grow(neededBytes);
    this.#length += this.#bytes.write(line, this.#length);
    this.#lines++;
  }

  /** All lines; shares memory with this buffer. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(neededBytes: number): void {
    const larger = Buffer.allocUnsafe(Math.max(neededBytes, this.#bytes.byteLength * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
