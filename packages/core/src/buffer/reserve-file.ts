import { randomBytes } from "node:crypto";
import { rmSync, statfsSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { isSqliteError } from "./database.ts";

const RESERVE_BYTES = 4 * 1024 * 1024;
/** Of a tiny disk no more than this part is kept. */
const PART_OF_DISK = 1 / 8;
/** The reserve is given up in steps, so that what else fills the disk cannot take it all at once. */
const STEPS = 4;

/**
 * Space on the buffer's disk that is kept for letting landed batches go: on a full disk that needs
 * room in the WAL first, and would wait for ever for what only it can free.
 */
export interface Reserve {
  readonly path: string;
  readonly bytes: number;
}

export function reserveOf(bufferPath: string): Reserve {
  const { blocks, bsize } = statfsSync(dirname(bufferPath));
  const bytes = Math.min(RESERVE_BYTES, Math.floor(blocks * bsize * PART_OF_DISK));
  return { path: `${bufferPath}.reserve`, bytes };
}

/** True unless a part of it has been given up. */
export function isReserved({ path, bytes }: Reserve): boolean {
  return sizeOf(path) >= bytes;
}

/** Takes the space; gives up what was taken when there is not enough. @returns whether it was. */
export function takeReserve({ path, bytes }: Reserve): boolean {
  try {
    // Nothing that a file system could compress away.
    writeFileSync(path, randomBytes(bytes), { mode: 0o600 });
    return true;
  } catch {
    rmSync(path, { force: true });
    return false;
  }
}

/** Gives up a part of the space. @returns false when there is none left to give. */
function releaseReserve(bufferPath: string): boolean {
  try {
    const { path, bytes } = reserveOf(bufferPath);
    const size = sizeOf(path);
    if (size === 0) return false;
    truncateSync(path, Math.max(0, size - Math.ceil(bytes / STEPS)));
    return true;
  } catch {
    return false;
  }
}

/**
 * Does what makes room on a full disk, with as much of the reserve as it takes. Each try must be
 * whole: what failed is done again from its start.
 */
export function withReserve<Result>(bufferPath: string, work: () => Result): Result {
  for (;;) {
    try {
      return work();
    } catch (error) {
      const isFull = isSqliteError(error, "SQLITE_FULL", "SQLITE_IOERR_SHMSIZE");
      if (!isFull || !releaseReserve(bufferPath)) throw error;
    }
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
