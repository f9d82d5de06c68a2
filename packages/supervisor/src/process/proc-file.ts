import { closeSync, openSync, readSync } from "node:fs";

// Shared by all reads: a fresh buffer of the default 64 KiB for each of hundreds of files a second
// was 14 MiB of garbage with 50 children.
let buffer = Buffer.alloc(4_096);

/** The text of a file that has no size, as those of `/proc`; `undefined` when it can't be read. */
export function readProcFile(path: string): string | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    let length = 0;
    for (;;) {
      const bytes = readSync(fd, buffer, length, buffer.length - length, null);
      if (bytes === 0) return buffer.toString("latin1", 0, length);
      length += bytes;
      if (length === buffer.length) buffer = Buffer.concat([buffer], length * 2);
    }
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
