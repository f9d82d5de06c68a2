import {
  BACKSLASH,
  BRACE_CLOSE,
  BRACE_OPEN,
  BRACKET_CLOSE,
  BRACKET_OPEN,
  COLON,
  COMMA,
  DOT,
  elementEnd,
  escapeEnd,
  FIRST_PRINTABLE,
  MINUS,
  NINE,
  QUOTE,
  ZERO,
} from "./json-bytes.ts";
import type { RecordShape } from "./record-shape.ts";

/** What the value in a slot is; its text lies between the start and the end of the slot. */
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

/** Numbers that a slot takes in {@link RecordScanner.slots}: its kind, its start and its end. */
export const SLOT_STRIDE = 3;

/** One element of a payload. */
export interface ScannedRecord {
  /** Where its text is. */
  start: number;
  end: number;
  /** Undefined for an element that is not plain. */
  shape: RecordShape | undefined;
  /** Where in {@link RecordScanner.slots} those of its shape begin. */
  base: number;
  /** What JSON.parse makes of an element that is not plain. */
  value: unknown;
}

const FIRST_SLOTS = 1_024;
/** Fields that may come before `t`. */
const MAX_EARLY_FIELDS = 8;
/** More digits may be more than a double holds. */
const MAX_EXACT_DIGITS = 15;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const LETTER_T = 0x74;
const TRUE = Buffer.from("true");
const FALSE = Buffer.from("false");
const NULL = Buffer.from("null");
const NOT_PLAIN = -1;

/**
 * Finds where the values of records are in the bytes of a payload, without making anything of them.
 *
 * It knows one way of writing records, the one that senders use: objects of plain values without
 * spaces, whose fields are those of their type. Any other element is left to JSON.parse, and a payload
 * that is not an array of elements is not taken at all.
 */
export class RecordScanner {
  slots = new Int32Array(FIRST_SLOTS * SLOT_STRIDE);
  /** The first {@link RecordScanner.recordCount} of them count; the objects are used again. */
  readonly records: ScannedRecord[] = [];
  recordCount = 0;
  readonly #shapes: readonly RecordShape[];
  /** Places of the fields that came before `t`: start and end of the key, then what a slot holds. */
  readonly #early = new Int32Array(MAX_EARLY_FIELDS * (SLOT_STRIDE + 2));
  /** All of the memory that the payload is in, and where in it the payload begins. */
  #view: DataView = new DataView(new ArrayBuffer(0));
  #viewStart = 0;
  #shape: RecordShape | undefined;
  #slotsEnd = 0;
  /** Of the value that was read last, without quotes. */
  #start = 0;
  #end = 0;
  /** The index behind it. */
  #behind = 0;

  constructor(shapes: readonly RecordShape[]) {
    this.#shapes = shapes;
  }

  /**
   * Fills `slots` and `records`.
   *
   * @param bytes valid UTF-8.
   * @returns false for a payload that has to be read in another way, if it can be read at all.
   */
  scan(bytes: Buffer): boolean {
    const last = bytes.byteLength - 1;
    this.recordCount = 0;
    this.#slotsEnd = 0;
    if (last < 1 || bytes[0] !== BRACKET_OPEN || bytes[last] !== BRACKET_CLOSE) return false;
    if (last === 1) return true;
    // The payloads of a group share their memory.
    if (this.#view.buffer !== bytes.buffer) this.#view = new DataView(bytes.buffer);
    this.#viewStart = bytes.byteOffset;
    for (let at = 1; ; at++) {
      at = this.#scanElement(bytes, at, last);
      if (at === NOT_PLAIN) return false;
      if (at === last) return true;
      if (bytes[at] !== COMMA) return false;
    }
  }

  /** @returns the index behind it; -1 when it is not JSON. */
  #scanElement(bytes: Buffer, start: number, last: number): number {
    const base = this.#slotsEnd;
    this.#shape = undefined;
    const end = this.#scanObject(bytes, start, last, base);
    if (end !== NOT_PLAIN) {
      this.#addRecord(start, end, this.#shape, base, undefined);
      return end;
    }
    this.#slotsEnd = base;
    const behind = elementEnd(bytes, start, last);
    try {
      const value: unknown = JSON.parse(bytes.toString("utf8", start, behind));
      this.#addRecord(start, behind, undefined, base, value);
      return behind;
    } catch {
      return NOT_PLAIN;
    }
  }

  #addRecord(
    start: number,
    end: number,
    shape: RecordShape | undefined,
    base: number,
    value: unknown,
  ): void {
    const record = this.records[this.recordCount];
    if (record === undefined) this.records.push({ start, end, shape, base, value });
    else {
      record.start = start;
      record.end = end;
      record.shape = shape;
      record.base = base;
      record.value = value;
    }
    this.recordCount++;
  }

  /** @returns the index behind it; -1 when it is not plain. */
  #scanObject(bytes: Buffer, start: number, last: number, base: number): number {
    if (bytes[start] !== BRACE_OPEN) return NOT_PLAIN;
    let at = start + 1;
    for (let place = 0; ; place++) {
      const shape = this.#shape;
      const expected = shape?.order[place];
      let slot = -1;
      let keyStart = 0;
      let keyEnd = 0;
      if (expected !== undefined && expected.isAt(this.#view, this.#viewStart + at)) {
        at += expected.length;
        ({ slot } = expected);
      } else {
        if (bytes[at] !== QUOTE) return NOT_PLAIN;
        keyStart = at + 1;
        keyEnd = stringEnd(bytes, keyStart, last);
        if (bytes[keyEnd] !== QUOTE || bytes[keyEnd + 1] !== COLON) return NOT_PLAIN;
        at = keyEnd + 2;
        if (shape !== undefined) {
          slot = shape.slotOf(bytes.toString("utf8", keyStart, keyEnd), place);
          if (slot === -1) return NOT_PLAIN;
        }
      }
      const kind = this.#scanValue(bytes, at, last);
      if (kind === NOT_PLAIN) return NOT_PLAIN;
      if (shape !== undefined) {
        if (!this.#fill(base, slot, kind)) return NOT_PLAIN;
      } else if (!this.#addEarly(bytes, base, place, keyStart, keyEnd, kind)) {
        return NOT_PLAIN;
      }
      at = this.#behind;
      if (at >= last) return NOT_PLAIN;
      if (bytes[at] === BRACE_CLOSE) return this.#shape === undefined ? NOT_PLAIN : at + 1;
      if (bytes[at] !== COMMA) return NOT_PLAIN;
      at++;
    }
  }

  /** Takes note of a field that came before the type was known, unless it is the type. */
  #addEarly(
    bytes: Buffer,
    base: number,
    place: number,
    keyStart: number,
    keyEnd: number,
    kind: number,
  ): boolean {
    const early = this.#early;
    if (place === MAX_EARLY_FIELDS) return false;
    const entry = place * (SLOT_STRIDE + 2);
    early[entry] = keyStart;
    early[entry + 1] = keyEnd;
    early[entry + 2] = kind;
    early[entry + 3] = this.#start;
    early[entry + 4] = this.#end;
    if (keyEnd - keyStart !== 1 || bytes[keyStart] !== LETTER_T) return true;
    if (kind !== VALUE_KINDS.string) return false;
    const shape = this.#shapeOf(bytes, this.#start, this.#end);
    if (shape === undefined) return false;
    this.#open(shape, base);
    const behind = this.#behind;
    for (let index = 0; index <= place; index++) {
      const at = index * (SLOT_STRIDE + 2);
      const from = early[at] as number;
      const expected = shape.order[index];
      const slot =
        expected !== undefined && expected.isAt(this.#view, this.#viewStart + from - 1)
          ? expected.slot
          : shape.slotOf(bytes.toString("utf8", from, early[at + 1]), index);
      if (slot === -1) return false;
      this.#start = early[at + 3] as number;
      this.#end = early[at + 4] as number;
      if (!this.#fill(base, slot, early[at + 2] as number)) return false;
    }
    this.#behind = behind;
    return true;
  }

  #shapeOf(bytes: Buffer, start: number, end: number): RecordShape | undefined {
    for (const shape of this.#shapes) {
      if (shape.type.length === end - start && startsWith(bytes, start, shape.type)) return shape;
    }
    return undefined;
  }

  #open(shape: RecordShape, base: number): void {
    this.#shape = shape;
    const end = base + shape.slots * SLOT_STRIDE;
    if (end > this.slots.length) {
      const larger = new Int32Array(Math.max(end, this.slots.length * 2));
      larger.set(this.slots);
      this.slots = larger;
    }
    this.slots.fill(VALUE_KINDS.absent, base, end);
    this.#slotsEnd = end;
  }

  /** @returns false for a field that the record has twice: JSON.parse decides. */
  #fill(base: number, slot: number, kind: number): boolean {
    const { slots } = this;
    const at = base + slot * SLOT_STRIDE;
    if (slots[at] !== VALUE_KINDS.absent) return false;
    slots[at] = kind;
    slots[at + 1] = this.#start;
    slots[at + 2] = this.#end;
    return true;
  }

  /** Notes where the value lies. @returns its kind; -1 when it is not plain. */
  #scanValue(bytes: Buffer, at: number, last: number): number {
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
      at = stringEnd(bytes, at, last);
      if (at === last) return NOT_PLAIN;
      const byte = bytes[at];
      if (byte === QUOTE) {
        this.#note(start, at, kind);
        this.#behind = at + 1;
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
      at = stringEnd(bytes, at + 1, last);
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
    this.#start = start;
    this.#end = end;
    this.#behind = end;
    return kind;
  }
}

/** Index of the first byte from `at` on that does not stand for itself in a string, or `end`. */
function stringEnd(bytes: Uint8Array, at: number, end: number): number {
  let index = at;
  for (; index < end; index++) {
    const byte = bytes[index] as number;
    if (byte === QUOTE || byte === BACKSLASH || byte < FIRST_PRINTABLE) break;
  }
  return index;
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

function startsWith(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let index = 0; index < expected.length; index++) {
    if (bytes[at + index] !== expected[index]) return false;
  }
  return true;
}
