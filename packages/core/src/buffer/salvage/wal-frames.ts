import { endianness } from "node:os";
import { readSync } from "node:fs";
import { PAGE_BYTES } from "../database.ts";

/** The last bit tells the byte order of checksums. */
const WAL_MAGIC = 0x377f0682;
const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES;
const IS_BIG_ENDIAN = endianness() === "BE";

/** One page image in a WAL; see https://sqlite.org/fileformat2.html#the_write_ahead_log. */
export interface WalFrame {
  pageNumber: number;
  /** Pages in the database after this commit; 0 for a frame that ends no transaction. */
  commitPages: number;
  /** Where its page starts in the file. */
  offset: number;
  /** Its checksum continues the one that the frame before it states. */
  isIntact: boolean;
  /** Written since the last reset, as far as its header tells. */
  isCurrent: boolean;
}

/** A WAL as far as it can be trusted. */
export interface Wal {
  isHeaderIntact: boolean;
  frames: WalFrame[];
}

/**
 * Reads what is in a WAL: its frames that were written since its last reset. Unlike SQLite, which takes a
 * damaged frame for the end, it goes on behind one: each frame is checked by itself.
 */
export function readWal(file: number, fileBytes: number): Wal {
  const header = Buffer.alloc(WAL_HEADER_BYTES);
  readSync(file, header, 0, WAL_HEADER_BYTES, 0);
  const buffer = Buffer.from(new ArrayBuffer(FRAME_BYTES));
  const isTold = isHeaderIntact(header, isSwappedBy(header));
  // A WAL that was written here is not swapped.
  const isSwapped = isTold && isSwappedBy(header);
  let salts = isTold ? header.subarray(16, 24) : undefined;
  let sums: [number, number] = [header.readUInt32BE(24), header.readUInt32BE(28)];
  const frames: WalFrame[] = [];
  for (let at = WAL_HEADER_BYTES; at + FRAME_BYTES <= fileBytes; at += FRAME_BYTES) {
    if (readSync(file, buffer, 0, FRAME_BYTES, at) < FRAME_BYTES) break;
    // With the header gone the first frame tells.
    salts ??= Buffer.from(buffer.subarray(8, 16));
    const isCurrent = buffer.subarray(8, 16).equals(salts);
    const stated: [number, number] = [buffer.readUInt32BE(16), buffer.readUInt32BE(20)];
    frames.push({
      pageNumber: buffer.readUInt32BE(0),
      commitPages: buffer.readUInt32BE(4),
      offset: at + FRAME_HEADER_BYTES,
      isCurrent,
      isIntact: isCurrent && isSameSum(sumFrame(buffer, sums, isSwapped), stated),
    });
    sums = stated;
  }
  return { isHeaderIntact: isTold, frames: withoutEarlierResets(frames) };
}

/**
 * Whether SQLite would ignore commits of this WAL because a frame before them is damaged. What a
 * killed process or a full disk leaves unfinished at the end is no damage.
 */
export function hasCommitsBehindDamage({ isHeaderIntact: isTold, frames }: Wal): boolean {
  const firstDamaged = isTold ? frames.findIndex(({ isIntact }) => !isIntact) : 0;
  if (firstDamaged === -1) return false;
  return frames
    .slice(firstDamaged)
    .some(({ isIntact, commitPages }) => isIntact && commitPages > 0);
}

/** What follows the last current frame is left over from before the reset. */
function withoutEarlierResets(frames: WalFrame[]): WalFrame[] {
  return frames.slice(0, frames.findLastIndex(({ isCurrent }) => isCurrent) + 1);
}

/** Whether the checksums are in the other byte order than this machine's. */
function isSwappedBy(header: Buffer): boolean {
  const isBigEndian = ((header[3] ?? 0) & 1) === 1;
  return isBigEndian !== IS_BIG_ENDIAN;
}

function isHeaderIntact(header: Buffer, isSwapped: boolean): boolean {
  if ((header.readUInt32BE(0) & ~1) >>> 0 !== WAL_MAGIC) return false;
  const words = Buffer.from(new ArrayBuffer(24));
  header.copy(words, 0, 0, 24);
  const stated: [number, number] = [header.readUInt32BE(24), header.readUInt32BE(28)];
  return isSameSum(sumWords(wordsOf(words, isSwapped), 0, [0, 0], 6), stated);
}

function sumFrame(frame: Buffer, from: [number, number], isSwapped: boolean): [number, number] {
  const words = wordsOf(frame, isSwapped);
  const sums = sumWords(words, 0, from, 2);
  return sumWords(words, FRAME_HEADER_BYTES / 4, sums, words.length);
}

function wordsOf(bytes: Buffer, isSwapped: boolean): Uint32Array {
  const source = isSwapped ? Buffer.from(new Uint8Array(bytes).slice().buffer).swap32() : bytes;
  return new Uint32Array(source.buffer, source.byteOffset, source.length / 4);
}

function sumWords(
  words: Uint32Array,
  start: number,
  [first, second]: [number, number],
  end: number,
): [number, number] {
  let s0 = first | 0;
  let s1 = second | 0;
  for (let index = start; index < end; index += 2) {
    s0 = (s0 + (words[index] ?? 0) + s1) | 0;
    s1 = (s1 + (words[index + 1] ?? 0) + s0) | 0;
  }
  return [s0 >>> 0, s1 >>> 0];
}

function isSameSum(a: [number, number], b: [number, number]): boolean {
  return a[0] === b[0] && a[1] === b[1];
}
