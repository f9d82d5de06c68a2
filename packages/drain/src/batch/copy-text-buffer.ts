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
    const bytes = this.reserve(line.length * MAX_BYTES_PER_UNIT);
    this.addWritten(this.#length + bytes.write(line, this.#length));
  }

  /** Bytes of all lines. */
  get length(): number {
    return this.#length;
  }

  /** The memory of this buffer, with room for so many bytes behind the last line. */
  reserve(bytes: number): Buffer {
    const neededBytes = this.#length + bytes;
    if (neededBytes > this.#bytes.byteLength) this.#grow(neededBytes);
    return this.#bytes;
  }

  /** Takes what was written behind the last line, up to `end`, as a line. */
  addWritten(end: number): void {
    this.#length = end;
    this.#lines++;
  }

  get capacityBytes(): number {
    return this.#bytes.byteLength;
  }

  /** Drops all lines and keeps the memory. */
  clear(): void {
    this.#length = 0;
    this.#lines = 0;
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
