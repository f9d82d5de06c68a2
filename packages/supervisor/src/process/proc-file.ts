import { closeSync, openSync, readSync } from "node:fs";

// Shared by all reads: a fresh buffer of the default 64 KiB for each of hundreds of files a second
// was 14 MiB of garbage with 50 children.
let buffer = Buffer.alloc(4_096);

/**
 * The bytes of a file that has no size, as those of `/proc`, until the next one is read; `undefined`
 * when it can't be read.
 */
export function readProcFile(path: string): Buffer | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    let length = 0;
    for (;;) {
      const bytes = readSync(fd, buffer, length, buffer.length - length, null);
      if (bytes === 0) return buffer.subarray(0, length);
      length += bytes;
      if (length === buffer.length) buffer = Buffer.concat([buffer], length * 2);
    }
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
