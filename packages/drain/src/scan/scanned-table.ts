import type { CopyTextBuffer } from "../batch/copy-text-buffer.ts";
import { type ColumnReader, columnReaders } from "../encode/column-reader.ts";
import type { CompiledTable } from "../encode/compiled-table.ts";
import { COPY_NULL, copyText } from "../encode/copy-text.ts";
import { upsertCheck } from "../encode/upsert-check.ts";
import type { ColumnType } from "../schema/columns.ts";
import type { TableDefinition } from "../schema/table.ts";
import type { UpsertReaders } from "../upsert/upsert-readers.ts";
import { copyBytes, copyEscapedString } from "./copy-string.ts";
import { BACKSLASH, BRACE_CLOSE, BRACE_OPEN } from "./json-bytes.ts";
import { RecordShape } from "./record-shape.ts";
import { SLOT_STRIDE, VALUE_KINDS } from "./record-scanner.ts";
import { scannedValue } from "./scanned-value.ts";
import { TimestampWriter } from "./timestamp-writer.ts";

/** What values take at most besides the bytes that they have in the record. */
const COLUMN_BYTES = 48;
/** Digits up to which every number is a PostgreSQL `integer`, with a sign. */
const INTEGER_BYTES = 9;
const TAB = 0x09;
const LETTER_N = 0x4e;
const LETTER_T = 0x74;
const LETTER_F = 0x66;

/** Lines of COPY text, and what merging reads, from the bytes of records of one type. */
export class ScannedTable {
  readonly table: CompiledTable;
  readonly shape: RecordShape;
  readonly #columns: readonly ScannedColumn[];
  readonly #mergedFields: ReadonlyArray<{ name: string; at: number }>;
  readonly #merged: Record<string, unknown> = {};
  readonly #checkUpserts: (record: Readonly<Record<string, unknown>>) => void;
  /** Times that a field may be written. */
  readonly #copies: number;

  /**
   * @param upserts that read the same records.
   * @param mergedFields all fields that they read; none when the records are not merged.
   */
  constructor(
    table: CompiledTable,
    definition: TableDefinition,
    upserts: readonly UpsertReaders[],
    mergedFields: ReadonlySet<string>,
  ) {
    const readers = columnReaders(definition.columns);
    const fields = [...new Set(["t", ...readers.map(({ field }) => field)])];
    const slotAt = (field: string) => fields.indexOf(field) * SLOT_STRIDE;
    this.table = table;
    this.shape = new RecordShape(definition.match.t, fields);
    this.#columns = readers.map((reader) => new ScannedColumn(reader, slotAt(reader.field)));
    // A record that has another one has an unknown field: it is not of this shape.
    this.#mergedFields = fields
      .filter((field) => mergedFields.has(field))
      .map((name) => ({ name, at: slotAt(name) }));
    this.#checkUpserts = upsertCheck(upserts, readers);
    const byField = Map.groupBy(readers, ({ field }) => field);
    this.#copies = Math.max(...[...byField.values()].map(({ length }) => length));
  }

  /** Whether the records are merged into another table too. */
  get isMerged(): boolean {
    return this.#mergedFields.length > 0;
  }

  /**
   * What merging reads of a record: the same object for each.
   *
   * @throws {@link RecordRefused}
   */
  mergedFields(bytes: Buffer, slots: Int32Array, base: number): Record<string, unknown> {
    const record = this.#merged;
    for (const { name, at } of this.#mergedFields) {
      const slot = base + at;
      record[name] = scannedValue(
        bytes,
        slots[slot] as number,
        slots[slot + 1] as number,
        slots[slot + 2] as number,
      );
    }
    this.#checkUpserts(record);
    return record;
  }

  /**
   * Adds the line of a record.
   *
   * @param recordBytes how many bytes the record has.
   * @param own what is in the columns behind those of the record, with the line feed.
   * @returns false, having added nothing, for a record that is refused, or may be.
   * @throws {@link RecordRefused}, having added nothing.
   */
  addLine(
    bytes: Buffer,
    slots: Int32Array,
    base: number,
    recordBytes: number,
    own: Buffer,
    text: CopyTextBuffer,
  ): boolean {
    const columns = this.#columns;
    const target = text.reserve(
      recordBytes * 2 * this.#copies + columns.length * COLUMN_BYTES + own.byteLength,
    );
    let at = text.length;
    for (let index = 0; index < columns.length; index++) {
      at = (columns[index] as ScannedColumn).write(bytes, slots, base, target, at);
      if (at === -1) return false;
      target[at++] = TAB;
    }
    text.addWritten(copyBytes(own, 0, own.byteLength, target, at));
    return true;
  }
}

/** Writes one column's value from the bytes of records. */
class ScannedColumn {
  readonly #reader: ColumnReader;
  readonly #type: ColumnType;
  readonly #slotAt: number;
  readonly #required: boolean;
  readonly #emptyAsNull: boolean;
  readonly #timestamps: TimestampWriter | undefined;

  constructor(reader: ColumnReader, slotAt: number) {
    this.#reader = reader;
    this.#type = reader.type;
    this.#slotAt = slotAt;
    this.#required = reader.required;
    this.#emptyAsNull = reader.emptyAsNull;
    this.#timestamps = reader.isInSeconds ? new TimestampWriter() : undefined;
  }

  /** @returns the index behind what it wrote; -1 for a record that lacks a required value. */
  write(bytes: Buffer, slots: Int32Array, base: number, target: Buffer, at: number): number {
    const slot = base + this.#slotAt;
    const kind = slots[slot] as number;
    const start = slots[slot + 1] as number;
    const end = slots[slot + 2] as number;
    switch (kind) {
      case VALUE_KINDS.absent:
      case VALUE_KINDS.null:
        return this.#writeNull(target, at);
      case VALUE_KINDS.string:
        if (start === end && this.#emptyAsNull) return this.#writeNull(target, at);
        if (this.#type === "text") return copyBytes(bytes, start, end, target, at);
        break;
      case VALUE_KINDS.escapedString:
        if (this.#type === "text") return copyEscapedString(bytes, start, end, target, at);
        break;
      case VALUE_KINDS.integer:
        if (this.#isWhole(end - start)) return copyBytes(bytes, start, end, target, at);
        break;
      case VALUE_KINDS.true:
      case VALUE_KINDS.false:
        if (this.#type !== "boolean") break;
        target[at] = kind === VALUE_KINDS.true ? LETTER_T : LETTER_F;
        return at + 1;
      case VALUE_KINDS.stringArray:
        if (this.#type !== "text[]") break;
        copyBytes(bytes, start, end, target, at);
        target[at] = BRACE_OPEN;
        target[at + end - start - 1] = BRACE_CLOSE;
        return at + end - start;
      default:
    }
    const behind = this.#writeTimestamp(bytes, kind, start, end, target, at);
    return behind === -1 ? this.#writeAny(bytes, kind, start, end, target, at) : behind;
  }

  #isWhole(length: number): boolean {
    const type = this.#type;
    return (
      type === "bigint" || type === "double" || (type === "integer" && length <= INTEGER_BYTES)
    );
  }

  #writeNull(target: Buffer, at: number): number {
    if (this.#required) return -1;
    target[at] = BACKSLASH;
    target[at + 1] = LETTER_N;
    return at + 2;
  }

  #writeTimestamp(
    bytes: Buffer,
    kind: number,
    start: number,
    end: number,
    target: Buffer,
    at: number,
  ): number {
    if (kind !== VALUE_KINDS.number && kind !== VALUE_KINDS.integer) return -1;
    return this.#timestamps?.write(bytes, start, end, target, at) ?? -1;
  }

  /** What is rare goes the way that every record could go. */
  #writeAny(
    bytes: Buffer,
    kind: number,
    start: number,
    end: number,
    target: Buffer,
    at: number,
  ): number {
    const text = this.#reader.read(scannedValue(bytes, kind, start, end));
    return at + target.write(text === null ? COPY_NULL : copyText(text), at);
  }
}
