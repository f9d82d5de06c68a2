import { type FileHandle, mkdir, open, rename, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";

/** Bounds of one instance's log file. */
export interface LogFileLimits {
  /** Bytes from which a file is rotated. */
  maxBytes: number;
  /** Age from which a file is rotated by the next line, in milliseconds. @default never */
  maxAgeMs?: number | undefined;
  /** Files kept, the current one included. */
  maxFiles: number;
  /** Bytes that may wait for a slow disk before lines are dropped. */
  maxQueuedBytes: number;
}

/**
 * Appends lines to a file and rotates it (`x.log`, `x.log.1`, ...). Writing never blocks the caller:
 * what a slow disk can't take in time is dropped and counted.
 */
export class LogFile {
  readonly #path: string;
  readonly #limits: LogFileLimits;
  readonly #onFailure: (error: unknown) => void;
  #queue: string[] = [];
  #queuedBytes = 0;
  #writing: Promise<void> | undefined;
  #handle: FileHandle | undefined;
  #bytes = 0;
  #createdAtMs = 0;
  #closed = false;
  /** Lines that were not written because the disk was too slow or failed. */
  droppedLines = 0;

  /** @param onFailure hears of lines that could not be written, and why. */
  constructor(path: string, limits: LogFileLimits, onFailure: (error: unknown) => void = () => {}) {
    this.#path = path;
    this.#limits = limits;
    this.#onFailure = onFailure;
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line) + 1;
    if (this.#closed || this.#queuedBytes + bytes > this.#limits.maxQueuedBytes) {
      this.droppedLines++;
      return;
    }
    this.#queue.push(line);
    this.#queuedBytes += bytes;
    this.#writing ??= this.#drainQueue();
  }

  /** Writes what is queued and closes the file. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing;
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async #drainQueue(): Promise<void> {
    while (this.#queue.length > 0) {
      const lines = this.#queue;
      this.#queue = [];
      try {
        await this.#append(lines);
      } catch (error) {
        this.droppedLines += lines.length;
        this.#onFailure(error);
        await this.#handle?.close().catch(() => {});
        this.#handle = undefined;
      }
      this.#queuedBytes = this.#queue.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
    }
    this.#writing = undefined;
  }

  async #append(lines: readonly string[]): Promise<void> {
    this.#handle ??= await this.#open();
    let batch: string[] = [];
    let batchBytes = 0;
    for (const whole of lines) {
      const line = cutToBytes(whole, this.#limits.maxBytes - 1);
      const bytes = Buffer.byteLength(line) + 1;
      if (this.#isFull(this.#bytes + batchBytes, bytes)) {
        await this.#writeBatch(batch, batchBytes);
        await this.#rotate();
        batch = [];
        batchBytes = 0;
        this.#handle = await this.#open();
      }
      batch.push(line);
      batchBytes += bytes;
    }
    await this.#writeBatch(batch, batchBytes);
  }

  #isFull(writtenBytes: number, bytes: number): boolean {
    if (writtenBytes === 0) return false;
    const { maxBytes, maxAgeMs = Number.POSITIVE_INFINITY } = this.#limits;
    return writtenBytes + bytes > maxBytes || Date.now() - this.#createdAtMs > maxAgeMs;
  }

  async #writeBatch(batch: readonly string[], batchBytes: number): Promise<void> {
    if (batch.length === 0) return;
    this.#handle ??= await this.#open();
    await this.#handle.appendFile(`${batch.join("\n")}\n`);
    this.#bytes += batchBytes;
  }

  async #open(): Promise<FileHandle> {
    await mkdir(dirname(this.#path), { recursive: true });
    const handle = await open(this.#path, "a", 0o640);
    const { size, birthtimeMs } = await handle.stat();
    this.#bytes = size;
    // Some file systems don't keep it.
    this.#createdAtMs = birthtimeMs > 0 ? birthtimeMs : Date.now();
    return handle;
  }

  async #rotate(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
    this.#bytes = 0;
    const { maxFiles } = this.#limits;
    if (maxFiles <= 1) {
      await unlink(this.#path);
      return;
    }
    for (let index = maxFiles - 1; index > 0; index--) {
      const from = index === 1 ? this.#path : `${this.#path}.${index - 1}`;
      if (await exists(from)) await rename(from, `${this.#path}.${index}`);
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** As much of a line as fits: one that is longer than a whole file must not break its limit. */
function cutToBytes(line: string, maxBytes: number): string {
  // A UTF-16 unit takes at most three bytes.
  if (line.length * 3 <= maxBytes || Buffer.byteLength(line) <= maxBytes) return line;
  const bytes = Buffer.from(line).subarray(0, maxBytes);
  return bytes.toString("utf8").replace(/\uFFFD+$/, "");
}
