import { PAGE_BYTES } from "../database.ts";
import type { FindPage } from "./page-file.ts";

/** A column's value in a record. */
export type RecordValue = null | number | string | Buffer;

/** A record of a table, with its row id; 0 in tables that have none. */
export interface TableRecord {
  rowId: number;
  values: RecordValue[];
}

const FILE_HEADER_BYTES = 100;
const TABLE_LEAF = 0x0d;
const TABLE_INTERIOR = 0x05;
const INDEX_LEAF = 0x0a;
const INDEX_INTERIOR = 0x02;

/**
 * Reads the records of a table's leaf page, one cell at a time, and leaves out those that make no
 * sense; pages of other kinds have none. See https://sqlite.org/fileformat2.html#b_tree_pages.
 *
 * @param isFirst whether it is page 1, which starts with the file's header.
 */
export function* readLeaf(
  page: Buffer,
  find: FindPage,
  isFirst = false,
): Generator<TableRecord, void> {
  const start = isFirst ? FILE_HEADER_BYTES : 0;
  if (page[start] !== TABLE_LEAF) return;
  for (const at of cellOffsets(page, start, 8)) {
    const record = attempt(() => readTableCell(page, at, find));
    if (record !== undefined) yield record;
  }
}

/** Reads what can be reached of the table whose tree starts at page `root`. */
export function* readTable(root: number, find: FindPage): Generator<TableRecord, void> {
  const waiting = [root];
  const seen = new Set<number>();
  for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
    if (seen.has(number)) continue;
    seen.add(number);
    const page = find(number);
    if (page === undefined) continue;
    const kind = page[0];
    if (kind === TABLE_LEAF) yield* readLeaf(page, find);
    if (kind === TABLE_INTERIOR || kind === INDEX_INTERIOR) {
      waiting.push(page.readUInt32BE(8));
      for (const at of cellOffsets(page, 0, 12)) {
        const child = attempt(() => page.readUInt32BE(at));
        if (child !== undefined) waiting.push(child);
      }
    }
    if (kind === INDEX_LEAF || kind === INDEX_INTERIOR) yield* readIndexPage(page, kind, find);
  }
}

function* readIndexPage(page: Buffer, kind: number, find: FindPage): Generator<TableRecord, void> {
  const isLeaf = kind === INDEX_LEAF;
  for (const at of cellOffsets(page, 0, isLeaf ? 8 : 12)) {
    const values = attempt(() => {
      const size = readVarint(page, isLeaf ? at : at + 4);
      const local = localBytes(size.value, Math.floor(((PAGE_BYTES - 12) * 64) / 255) - 23);
      return decodeRecord(assemble(page, size.end, size.value, local, find));
    });
    if (values !== undefined) yield { rowId: 0, values };
  }
}

function* cellOffsets(page: Buffer, start: number, headerBytes: number): Generator<number, void> {
  const first = start + headerBytes;
  const cells = Math.min(page.readUInt16BE(start + 3), (PAGE_BYTES - first) / 2);
  for (let cell = 0; cell < cells; cell++) yield page.readUInt16BE(first + cell * 2);
}

function readTableCell(page: Buffer, at: number, find: FindPage): TableRecord {
  const size = readVarint(page, at);
  const rowId = readVarint(page, size.end);
  const local = localBytes(size.value, PAGE_BYTES - 35);
  const record = assemble(page, rowId.end, size.value, local, find);
  return { rowId: rowId.value, values: decodeRecord(record) };
}

/** Bytes of a record that stand on the page itself, given the most that may. */
function localBytes(size: number, most: number): number {
  if (size <= most) return size;
  const least = Math.floor(((PAGE_BYTES - 12) * 32) / 255) - 23;
  const fitting = least + ((size - least) % (PAGE_BYTES - 4));
  return fitting <= most ? fitting : least;
}

/** Joins a record's part on its page with those on overflow pages. */
function assemble(page: Buffer, at: number, size: number, local: number, find: FindPage): Buffer {
  if (at + local > PAGE_BYTES) throw new RangeError("beyond the page");
  if (local === size) return page.subarray(at, at + size);
  const parts = [page.subarray(at, at + local)];
  let missing = size - local;
  let next = page.readUInt32BE(at + local);
  const seen = new Set<number>();
  while (missing > 0) {
    const overflow = find(next);
    if (overflow === undefined || seen.has(next)) throw new RangeError("broken overflow chain");
    seen.add(next);
    parts.push(overflow.subarray(4, 4 + missing));
    missing -= PAGE_BYTES - 4;
    next = overflow.readUInt32BE(0);
  }
  return Buffer.concat(parts, size);
}

function decodeRecord(record: Buffer): RecordValue[] {
  const header = readVarint(record, 0);
  const values: RecordValue[] = [];
  let typeAt = header.end;
  let at = header.value;
  while (typeAt < header.value) {
    const type = readVarint(record, typeAt);
    typeAt = type.end;
    const bytes = storedBytes(type.value);
    if (at + bytes > record.length) throw new RangeError("beyond the record");
    values.push(decodeValue(record, at, type.value, bytes));
    at += bytes;
  }
  return values;
}

const INTEGER_BYTES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0];

function storedBytes(type: number): number {
  return type < 12 ? (INTEGER_BYTES[type] ?? 0) : (type - (type % 2 === 0 ? 12 : 13)) / 2;
}

function decodeValue(record: Buffer, at: number, type: number, bytes: number): RecordValue {
  if (type === 0) return null;
  if (type === 8 || type === 9) return type - 8;
  if (type === 7) return record.readDoubleBE(at);
  if (type === 6) return Number(record.readBigInt64BE(at));
  if (type < 6) return record.readIntBE(at, bytes);
  const part = record.subarray(at, at + bytes);
  return type % 2 === 0 ? part : part.toString("utf8");
}

/** SQLite's variable-length integer, 7 bits a byte; what exceeds a safe integer is no id or size. */
function readVarint(bytes: Buffer, from: number): { value: number; end: number } {
  let value = 0;
  for (let index = 0; ; index++) {
    const byte = bytes.readUInt8(from + index);
    value = value * 128 + (byte & 0x7f);
    if (value > Number.MAX_SAFE_INTEGER) throw new RangeError("beyond a safe integer");
    if (byte < 0x80) return { value, end: from + index + 1 };
  }
}

/** What a cell gives; undefined for one whose offsets or sizes point nowhere. */
function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
