/** One line of a child's output. */
export interface LogEntry {
  /** Position in the output of its instance, from 1. */
  sequence: number;
  /** ISO 8601, when the line was complete. */
  time: string;
  process: string;
  instance: string;
  stream: "stdout" | "stderr";
  level: LogLevel;
  message: string;
  /** What else a line said that is a JSON object, with `logs.json`. */
  fields?: Readonly<Record<string, unknown>> | undefined;
}

/** How serious a line is, as far as it can be told from its text. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** The newest lines of one instance, bounded by number and by size. */
export class LogRing {
  readonly #maxLines: number;
  readonly #maxLength: number;
  #entries: LogEntry[] = [];
  #head = 0;
  #length = 0;

  /** At most `maxLines` lines and `maxLength` characters of text. */
  constructor(maxLines: number, maxLength: number) {
    this.#maxLines = maxLines;
    this.#maxLength = maxLength;
  }

  push(entry: LogEntry): void {
    if (this.#maxLines === 0) return;
    this.#entries.push(entry);
    this.#length += entry.message.length;
    while (this.size > this.#maxLines || (this.#length > this.#maxLength && this.size > 1)) {
      this.#length -= this.#entries[this.#head]?.message.length ?? 0;
      this.#head++;
    }
    if (this.#head > 64 && this.#head > this.#entries.length / 2) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }

  get size(): number {
    return this.#entries.length - this.#head;
  }

  /** The newest `limit` lines, oldest first. */
  newest(limit: number): LogEntry[] {
    return this.#entries.slice(Math.max(this.#head, this.#entries.length - limit));
  }
}
