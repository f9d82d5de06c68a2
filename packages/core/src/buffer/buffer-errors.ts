import type { ComponentState } from "../component.ts";
import { messageOf, MillraceError } from "../errors.ts";
import { isSqliteError } from "./database.ts";
import type { DiskWatch } from "./disk-watch.ts";

export function bufferFull(path: string, depth: { rows: number; bytes: number }): MillraceError {
  return new MillraceError(
    "BUFFER_FULL",
    `${path} is full (${depth.rows} rows, ${depth.bytes} bytes): the drain is behind; raise maxRows or maxBytes, or see why it is`,
    { retryable: true, details: { reason: "full", ...depth } },
  );
}

export function walFull(path: string, { walBytes }: DiskWatch): MillraceError {
  return new MillraceError(
    "BUFFER_FULL",
    `${path}-wal has grown to ${walBytes} bytes: something has kept a read transaction open on the file for long; end it, or raise maxWalBytes`,
    { retryable: true, details: { reason: "wal", walBytes } },
  );
}

export function diskLow(path: string, { freeBytes, minFreeBytes }: DiskWatch): MillraceError {
  return new MillraceError(
    "BUFFER_DISK_LOW",
    `the disk of ${path} has ${freeBytes ?? 0} bytes free, below ${Math.round(minFreeBytes)}, or is full: free space, or lower minFreeBytes`,
    { retryable: true, details: { freeBytes, minFreeBytes } },
  );
}

export function writeFailed(path: string, cause: unknown): MillraceError {
  const wayOut = isSqliteError(cause, "SQLITE_BUSY")
    ? "something has held its write lock for 5 s, a disk that is overloaded or a program that has the file open"
    : "free disk space or check its permissions";
  return new MillraceError(
    "BUFFER_WRITE_FAILED",
    `${path} could not be written (${messageOf(cause)}): ${wayOut}`,
    { cause, retryable: true },
  );
}

export function notWritable(path: string, cause: unknown): MillraceError {
  return new MillraceError(
    "BUFFER_NOT_WRITABLE",
    `cannot use ${path} as a buffer (${messageOf(cause)}): choose a path on a writable disk with free space`,
    { cause, details: { path } },
  );
}

export function notRunning(state: ComponentState): MillraceError {
  return new MillraceError(
    "BUFFER_CLOSED",
    `the buffer is ${state}: only a started one that is not closing takes payloads`,
    { details: { state } },
  );
}
