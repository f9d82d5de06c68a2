import { type Logger, LogThrottle, messageOf } from "@millrace/core";
import { type Clock, timestamp } from "../host/clock.ts";
import type { ResolvedProcessOptions } from "../options/process-schema.ts";
import { detectLevel } from "./detect-level.ts";
import { parseJsonLine } from "./json-line.ts";
import { LineJoiner } from "./line-joiner.ts";
import { LineSplitter } from "./line-splitter.ts";
import { LogFile } from "./log-file.ts";
import { type LogEntry, LogRing } from "./log-ring.ts";

type LogOptions = ResolvedProcessOptions["logs"];

// Characters that a ring keeps at most, whatever its number of lines.
const MAX_RING_LENGTH = 1_048_576;
const MAX_QUEUED_FILE_BYTES = 1_048_576;

/** Who and where the lines of an output log belong to. */
export interface OutputLogOwner {
  process: string;
  instance: string;
  logger: Logger;
  clock: Clock;
  onLine(entry: LogEntry): void;
}

/** What becomes of one instance's output: ring, logger and file. */
export class OutputLog {
  readonly ring: LogRing;
  readonly #options: LogOptions;
  readonly #owner: OutputLogOwner;
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;
  readonly #splitters = new Map<"stdout" | "stderr", LineSplitter>();
  readonly #joiners = new Map<"stdout" | "stderr", LineJoiner>();
  #file: LogFile | undefined;
  #filePath: string | undefined;
  #sequence = 0;
  #droppedBefore = 0;

  constructor(options: LogOptions, owner: OutputLogOwner) {
    this.#options = options;
    this.#owner = owner;
    this.ring = new LogRing(options.ringLines, MAX_RING_LENGTH);
    this.#logger = owner.logger.child({ process: owner.process, instance: owner.instance });
    this.#throttle = new LogThrottle(this.#logger);
  }

  /** Lines that are not in the file: the disk was too slow, or would not take them. */
  get droppedLines(): number {
    return this.#droppedBefore + (this.#file?.droppedLines ?? 0);
  }

  /** Writes to this file from now on. */
  useFile(path: string | undefined): void {
    if (path === this.#filePath) return;
    void this.#closeFile();
    this.#filePath = path;
    if (path === undefined) return;
    const limits = {
      maxBytes: this.#options.maxFileSize,
      maxAgeMs: this.#options.maxFileAgeMs,
      maxFiles: this.#options.maxFiles,
      maxQueuedBytes: MAX_QUEUED_FILE_BYTES,
    };
    this.#file = new LogFile(path, limits, (error) =>
      this.#throttle.warn(
        "file",
        () => ({ err: error }),
        `lines are not written to ${path} (${messageOf(error)}): free disk space, or make it writable for this user`,
      ),
    );
  }

  push(stream: "stdout" | "stderr", chunk: Buffer): void {
    let splitter = this.#splitters.get(stream);
    if (splitter === undefined) {
      splitter = new LineSplitter(this.#options.maxLineLength, this.#receiver(stream));
      this.#splitters.set(stream, splitter);
    }
    splitter.push(chunk);
  }

  end(stream: "stdout" | "stderr"): void {
    this.#splitters.get(stream)?.end();
    this.#splitters.delete(stream);
    this.#joiners.get(stream)?.flush();
    this.#joiners.delete(stream);
  }

  async close(): Promise<void> {
    this.end("stdout");
    this.end("stderr");
    await this.#closeFile();
  }

  #receiver(stream: "stdout" | "stderr"): (line: string) => void {
    const { multiline } = this.#options;
    if (multiline === undefined) return (line) => this.#write(stream, line);
    const joiner = new LineJoiner(
      multiline,
      (text) => this.#write(stream, text),
      this.#owner.clock,
    );
    this.#joiners.set(stream, joiner);
    return (line) => joiner.push(line);
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    await file.close();
    this.#droppedBefore += file.droppedLines;
  }

  #write(stream: "stdout" | "stderr", line: string): void {
    let message = line;
    for (const pattern of this.#options.redact) message = message.replace(pattern, "[redacted]");
    const { process, instance, clock } = this.#owner;
    const parsed = this.#options.json ? parseJsonLine(message) : undefined;
    const entry: LogEntry = {
      sequence: ++this.#sequence,
      time: timestamp(clock),
      process,
      instance,
      stream,
      level: detectLevel(message),
      message,
      ...parsed,
    };
    this.ring.push(entry);
    this.#file?.write(message);
    const { fields, level } = entry;
    if (this.#options.forward === "structured") {
      // Below a name of their own: pid, time and hostname of the child aren't ours.
      this.#logger[level](fields === undefined ? { stream } : { stream, fields }, entry.message);
    } else if (this.#options.forward === "prefixed") {
      this.#owner.logger[level](`[${instance}] ${entry.message}`);
    }
    this.#owner.onLine(entry);
  }
}
