import { timestampText } from "../encode/timestamp-text.ts";
import { DOT, NINE, ZERO } from "./json-bytes.ts";

/**
 * Up to here, and with no more than six digits behind the point, a double is closer to the decimal
 * number than half a microsecond: rounding it gives the digits back.
 */
const MAX_SECONDS = 2_147_483_647;
const FRACTION_DIGITS = 6;
/** `2026-11-23 04:36:27.` */
const PREFIX_BYTES = 20;
const PLUS = 0x2b;

/** Writes `timestampText` of numbers from their digits; remembers the last second. */
export class TimestampWriter {
  #second = -1;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);

  /**
   * @param bytes a JSON number is between `start` and `end`.
   * @returns the index behind what it wrote; -1, having written nothing that counts, for a number that
   * is better left to `timestampText`.
   */
  write(bytes: Buffer, start: number, end: number, target: Buffer, at: number): number {
    let second = 0;
    let from = start;
    for (; from < end && bytes[from] !== DOT; from++) {
      const byte = bytes[from] as number;
      if (byte < ZERO || byte > NINE || second > MAX_SECONDS) return -1;
      second = second * 10 + (byte - ZERO);
    }
    if (second > MAX_SECONDS || end - from > FRACTION_DIGITS + 1) return -1;
    if (second !== this.#second && !this.#moveTo(second)) return -1;
    let to = at;
    for (let index = 0; index < PREFIX_BYTES; index++) target[to++] = this.#prefix[index] as number;
    for (let digit = 1; digit <= FRACTION_DIGITS; digit++) {
      const byte = from + digit < end ? (bytes[from + digit] as number) : ZERO;
      if (byte < ZERO || byte > NINE) return -1;
      target[to++] = byte;
    }
    target[to++] = PLUS;
    target[to++] = ZERO;
    target[to++] = ZERO;
    return to;
  }

  #moveTo(second: number): boolean {
    const text = timestampText(second);
    if (text === undefined) return false;
    this.#prefix.write(text.slice(0, PREFIX_BYTES), "latin1");
    this.#second = second;
    return true;
  }
}
