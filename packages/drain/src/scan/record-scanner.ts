import {
  BRACE_CLOSE,
  BRACE_OPEN,
  BRACKET_CLOSE,
  BRACKET_OPEN,
  COLON,
  COMMA,
  elementEnd,
  LETTER_T,
  QUOTE,
  startsWith,
  stringRunEnd,
} from "./json-bytes.ts";
import type { RecordShape } from "./record-shape.ts";
import { NOT_PLAIN, VALUE_KINDS, ValueScanner } from "./value-scanner.ts";

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
const MAX_KEPT_SLOTS = 64 * 1_024;
const MAX_KEPT_RECORDS = 2_048;
/** Fields that may come before `t`. */
const MAX_EARLY_FIELDS = 8;

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
  readonly #values = new ValueScanner();

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
    this.#clear();
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

  /** Forgets the last payload, and the memory that it took if that was a payload out of the ordinary. */
  #clear(): void {
    this.recordCount = 0;
    this.#slotsEnd = 0;
    if (this.records.length > MAX_KEPT_RECORDS) this.records.length = 0;
    if (this.slots.length > MAX_KEPT_SLOTS) this.slots = new Int32Array(FIRST_SLOTS * SLOT_STRIDE);
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
    const values = this.#values;
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
        keyEnd = stringRunEnd(bytes, keyStart, last);
        if (bytes[keyEnd] !== QUOTE || bytes[keyEnd + 1] !== COLON) return NOT_PLAIN;
        at = keyEnd + 2;
        if (shape !== undefined) {
          slot = shape.slotOf(bytes.toString("utf8", keyStart, keyEnd), place);
          if (slot === -1) return NOT_PLAIN;
        }
      }
      const kind = values.scan(bytes, at, last);
      if (kind === NOT_PLAIN) return NOT_PLAIN;
      if (shape !== undefined) {
        if (!this.#fill(base, slot, kind, values.start, values.end)) return NOT_PLAIN;
      } else if (!this.#addEarly(bytes, base, place, keyStart, keyEnd, kind)) {
        return NOT_PLAIN;
      }
      at = values.behind;
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
    const { start, end } = this.#values;
    if (place === MAX_EARLY_FIELDS) return false;
    const entry = place * (SLOT_STRIDE + 2);
    early[entry] = keyStart;
    early[entry + 1] = keyEnd;
    early[entry + 2] = kind;
    early[entry + 3] = start;
    early[entry + 4] = end;
    if (keyEnd - keyStart !== 1 || bytes[keyStart] !== LETTER_T) return true;
    if (kind !== VALUE_KINDS.string) return false;
    const shape = this.#shapeOf(bytes, start, end);
    if (shape === undefined) return false;
    this.#open(shape, base);
    for (let index = 0; index <= place; index++) {
      const at = index * (SLOT_STRIDE + 2);
      const from = early[at] as number;
      const expected = shape.order[index];
      const slot =
        expected !== undefined && expected.isAt(this.#view, this.#viewStart + from - 1)
          ? expected.slot
          : shape.slotOf(bytes.toString("utf8", from, early[at + 1]), index);
      if (slot === -1) return false;
      const kindBefore = early[at + 2] as number;
      if (!this.#fill(base, slot, kindBefore, early[at + 3] as number, early[at + 4] as number)) {
        return false;
      }
    }
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
  #fill(base: number, slot: number, kind: number, start: number, end: number): boolean {
    const { slots } = this;
    const at = base + slot * SLOT_STRIDE;
    if (slots[at] !== VALUE_KINDS.absent) return false;
    slots[at] = kind;
    slots[at + 1] = start;
    slots[at + 2] = end;
    return true;
  }
}
