import {
  BACKSLASH,
  BRACE_CLOSE,
  BRACKET_CLOSE,
  BRACKET_OPEN,
  COMMA,
  DOT,
  escapeEnd,
  MINUS,
  NINE,
  QUOTE,
  startsWith,
  stringRunEnd,
  ZERO,
} from "./json-bytes.ts";

/** What a value is; its text lies between its start and its end. */
export const VALUE_KINDS = {
  /** The record has no such field. */
  absent: 0,
  /** A string that stands for itself, without its quotes. */
  string: 1,
  /** A string with escapes, without its quotes. */
  escapedString: 2,
  /** A whole number as PostgreSQL and `String()` write it too, of at most 15 digits. */
  integer: 3,
  /** Any other number. */
  number: 4,
  /** An array of strings that stand for themselves, with its brackets. */
  stringArray: 5,
  true: 6,
  false: 7,
  null: 8,
} as const;

/** What is returned instead of a kind or an index for what is left to JSON.parse. */
export const NOT_PLAIN = -1;

/** More digits may be more than a double holds. */
const MAX_EXACT_DIGITS = 15;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const TRUE = Buffer.from("true");
const FALSE = Buffer.from("false");
const NULL = Buffer.from("null");

/** Finds the end of values in JSON without spaces, and tells what they are. */
export class ValueScanner {
  /** Of the value that was read last, without quotes. */
  start = 0;
  end = 0;
  /** The index behind it. */
  behind = 0;

  /** Notes where the value at `at` lies. @returns its kind, or {@link NOT_PLAIN}. */
  scan(bytes: Buffer, at: number, last: number): number {
    const first = bytes[at] as number;
    if (first === QUOTE) return this.#scanString(bytes, at + 1, last);
    if (first <= NINE) return this.#scanNumber(bytes, at, last);
    if (first === BRACKET_OPEN) return this.#scanStrings(bytes, at, last);
    if (startsWith(bytes, at, NULL)) return this.#note(at, at + 4, VALUE_KINDS.null);
    if (startsWith(bytes, at, TRUE)) return this.#note(at, at + 4, VALUE_KINDS.true);
    if (startsWith(bytes, at, FALSE)) return this.#note(at, at + 5, VALUE_KINDS.false);
    return NOT_PLAIN;
  }

  #scanString(bytes: Buffer, start: number, last: number): number {
    let kind: number = VALUE_KINDS.string;
    for (let at = start; ;) {
      at = stringRunEnd(bytes, at, last);
      if (at === last) return NOT_PLAIN;
      const byte = bytes[at];
      if (byte === QUOTE) {
        this.#note(start, at, kind);
        this.behind = at + 1;
        return kind;
      }
      if (byte !== BACKSLASH) return NOT_PLAIN;
      kind = VALUE_KINDS.escapedString;
      at = escapeEnd(bytes, at);
      if (at === -1 || at > last) return NOT_PLAIN;
    }
  }

  #scanNumber(bytes: Buffer, start: number, last: number): number {
    const digits = bytes[start] === MINUS ? start + 1 : start;
    let at = digitsEnd(bytes, digits, last);
    // A leading zero must be all of it: neither 01 nor -0.
    const isWritten = bytes[digits] === ZERO ? at === start + 1 : at > digits;
    const isExact = isWritten && at - digits <= MAX_EXACT_DIGITS;
    if (isExact && isEnd(bytes[at] as number)) return this.#note(start, at, VALUE_KINDS.integer);
    if (isExact && bytes[at] === DOT) {
      const fraction = at + 1;
      at = digitsEnd(bytes, fraction, last);
      if (at > fraction && isEnd(bytes[at] as number)) {
        return this.#note(start, at, VALUE_KINDS.number);
      }
    }
    while (at < last && !isEnd(bytes[at] as number)) at++;
    if (!NUMBER.test(bytes.toString("latin1", start, at))) return NOT_PLAIN;
    return this.#note(start, at, VALUE_KINDS.number);
  }

  #scanStrings(bytes: Buffer, start: number, last: number): number {
    let at = start + 1;
    while (bytes[at] === QUOTE) {
      at = stringRunEnd(bytes, at + 1, last);
      if (bytes[at] !== QUOTE) return NOT_PLAIN;
      at++;
      if (bytes[at] !== COMMA) break;
      // A comma before the bracket is not JSON.
      if (bytes[++at] !== QUOTE) return NOT_PLAIN;
    }
    if (at >= last || bytes[at] !== BRACKET_CLOSE) return NOT_PLAIN;
    return this.#note(start, at + 1, VALUE_KINDS.stringArray);
  }

  #note(start: number, end: number, kind: number): number {
    this.start = start;
    this.end = end;
    this.behind = end;
    return kind;
  }
}

function digitsEnd(bytes: Uint8Array, at: number, end: number): number {
  let index = at;
  for (; index < end; index++) {
    const byte = bytes[index] as number;
    if (byte < ZERO || byte > NINE) break;
  }
  return index;
}

/** Whether a byte may follow a number in an object. */
function isEnd(byte: number): boolean {
  return byte === COMMA || byte === BRACE_CLOSE;
}
