import { statfsSync } from "node:fs";
import { stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { isReserved, type Reserve, reserveOf, takeReserve } from "./reserve-file.ts";
import { walFileBytes } from "./wal-size.ts";

const MIB = 1024 * 1024;
/** Free space below which appends are refused, unless an option says otherwise. */
const MIN_FREE_BYTES = 512 * MIB;
const MIN_FREE_PART = 0.05;
/** With less than this free, space is looked at before every commit. */
const SCARCE_BYTES = 1024 * MIB;
/** What a commit writes besides the payloads. */
const COMMIT_BYTES = 256 * 1024;

/** Why appends are refused for the sake of the disk. */
export type DiskTrouble = "disk_low" | "wal";

export interface DiskWatchOptions {
  path: string;
  minFreeBytes?: number | undefined;
  maxWalBytes: number;
}

/** Looks from time to time, off the way of appends, whether the disk has room for more. */
export class DiskWatch {
  readonly #options: DiskWatchOptions;
  #reserve: Reserve | undefined;
  #isFull = false;
  #checking: Promise<void> | undefined;
  /** Set while appends have to be refused. */
  trouble: DiskTrouble | undefined;
  freeBytes: number | undefined;
  /** Below this appends are refused. */
  minFreeBytes = 0;
  walBytes = 0;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
  }

  /** To be told when there is no space for a write: no more until there is. */
  noteFull(): void {
    this.#isFull = true;
    this.trouble = "disk_low";
  }

  /**
   * Whether so many bytes may be written now, where space is scarce: what is in the WAL needs as much
   * again in the file before it can be made small, and a disk that is full before that stays full.
   */
  hasSpaceFor(bytes: number): boolean {
    if (this.freeBytes === undefined || this.freeBytes > SCARCE_BYTES) return true;
    const { path } = this.#options;
    const { bavail, bsize } = statfsSync(dirname(path));
    const hasSpace = bavail * bsize >= walFileBytes(path) + 2 * bytes + COMMIT_BYTES;
    if (!hasSpace) this.noteFull();
    return hasSpace;
  }

  /** One look at a time: the answer of an earlier one would hide that of a later one. */
  check(): Promise<void> {
    this.#checking ??= this.#look().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async #look(): Promise<void> {
    const { path, maxWalBytes } = this.#options;
    try {
      const { bavail, blocks, bsize } = await statfs(dirname(path));
      const free = bavail * bsize;
      this.freeBytes = free;
      this.minFreeBytes =
        this.#options.minFreeBytes ?? Math.max(blocks * bsize * MIN_FREE_PART, MIN_FREE_BYTES);
      this.walBytes = await sizeOf(`${path}-wal`);
      const isLow = !this.#keepReserve(free) || free < this.minFreeBytes;
      this.trouble = isLow ? "disk_low" : this.walBytes > maxWalBytes ? "wal" : undefined;
    } catch {
      // A disk that cannot even be asked shows in what is written to it.
      this.trouble = this.#isFull ? "disk_low" : undefined;
    }
  }

  /** @returns whether the reserve is whole and, after a write failed, there is room for others again. */
  #keepReserve(freeBytes: number): boolean {
    const { path } = this.#options;
    this.#reserve ??= reserveOf(path);
    const isWhole = isReserved(this.#reserve);
    // As much again, or what comes in would take it all at once.
    const needed = this.#reserve.bytes * (isWhole ? 1 : 2) + this.walBytes;
    if (isWhole && !this.#isFull) return true;
    if (freeBytes < needed) return false;
    if (!isWhole && !takeReserve(this.#reserve)) return false;
    this.#isFull = false;
    return true;
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}
