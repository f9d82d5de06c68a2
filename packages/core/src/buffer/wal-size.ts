import { statSync } from "node:fs";

/** A WAL is reset, which makes writers wait a moment, only once it is this large. */
export const WAL_RESET_BYTES = 16 * 1024 * 1024;

export function walFileBytes(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}

/** True for a WAL that is to be made small before anything is added to it. */
export function isWalLarge(path: string): boolean {
  return walFileBytes(path) >= WAL_RESET_BYTES;
}
