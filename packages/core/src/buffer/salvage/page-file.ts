import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { PAGE_BYTES } from "../database.ts";
import { readWal, type WalFrame } from "./wal-frames.ts";

/** Finds a page by its number; undefined when there is none that can be trusted. */
export type FindPage = (pageNumber: number) => Buffer | undefined;

/** The pages of a database file and its WAL, read without SQLite, which trusts what it reads. */
export class PageFile {
  readonly #file: number;
  readonly #filePages: number;
  readonly #wal: number | undefined;
  readonly #frames: WalFrame[] = [];
  readonly #latest = new Map<number, WalFrame>();

  constructor(path: string) {
    this.#file = openSync(path, "r");
    this.#filePages = Math.floor(fstatSync(this.#file).size / PAGE_BYTES);
    this.#wal = openIfExists(`${path}-wal`);
    if (this.#wal === undefined) return;
    this.#frames = readWal(this.#wal, fstatSync(this.#wal).size).frames;
    const lastCommit = this.#frames.findLastIndex(
      ({ isIntact, commitPages }) => isIntact && commitPages > 0,
    );
    for (const frame of this.#frames.slice(0, lastCommit + 1)) {
      if (frame.isIntact) this.#latest.set(frame.pageNumber, frame);
    }
  }

  /** A page as of the last commit. */
  readonly latest: FindPage = (pageNumber) => {
    const frame = this.#latest.get(pageNumber);
    if (frame !== undefined && this.#wal !== undefined) return read(this.#wal, frame.offset);
    return this.original(pageNumber);
  };

  /** A page as of the last checkpoint. */
  readonly original: FindPage = (pageNumber) =>
    pageNumber >= 1 && pageNumber <= this.#filePages
      ? read(this.#file, (pageNumber - 1) * PAGE_BYTES)
      : undefined;

  /** Ways to find a stale page's overflow: where it is now, and where it was before the WAL. */
  get views(): FindPage[] {
    return this.#latest.size === 0 ? [this.original] : [this.latest, this.original];
  }

  /** Every page that there is, stale and damaged ones too, the most trustworthy first. */
  *images(): Generator<{ page: Buffer; isFirst: boolean }> {
    for (let number = 1; number <= this.#filePages; number++) {
      const page = this.original(number);
      if (page !== undefined) yield { page, isFirst: number === 1 };
    }
    if (this.#wal === undefined) return;
    for (const isIntact of [true, false]) {
      for (const frame of this.#frames) {
        if (frame.isIntact !== isIntact) continue;
        const page = read(this.#wal, frame.offset);
        if (page !== undefined) yield { page, isFirst: frame.pageNumber === 1 };
      }
    }
  }

  close(): void {
    closeSync(this.#file);
    if (this.#wal !== undefined) closeSync(this.#wal);
  }
}

function openIfExists(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function read(file: number, offset: number): Buffer | undefined {
  const page = Buffer.allocUnsafe(PAGE_BYTES);
  try {
    return readSync(file, page, 0, PAGE_BYTES, offset) === PAGE_BYTES ? page : undefined;
  } catch {
    // A sector that the disk cannot read is one more kind of damage.
    return undefined;
  }
}
