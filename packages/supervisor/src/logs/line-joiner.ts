import type { Clock, Timer } from "../host/clock.ts";

/** How lines are joined. */
export interface LineJoinerOptions {
  /** What the first line of every entry matches; without it continuations are told by their look. */
  start?: RegExp | undefined;
  maxLines: number;
  /** Silence after which an entry is complete, in milliseconds. */
  flushMs: number;
}

// Indented lines, and what runtimes write at the margin: Java's causes, Python's chains, Go's frames,
// the closing brace of an object that was inspected.
const CONTINUATION =
  /^(?:\s+\S|Caused by: |Suppressed: |\.{3} \d+ more|During handling of |The above exception |goroutine \d+ |[\]})]+[,;]?$)/;
// The last line of a Python traceback is at the margin: it ends what the indented ones began.
const TRACEBACK = /^Traceback \(most recent call last\)/;

/** Joins the lines of a stack trace, or of anything that spans several lines, into one entry. */
export class LineJoiner {
  readonly #options: LineJoinerOptions;
  readonly #onEntry: (text: string) => void;
  #lines: string[] = [];
  readonly #clock: Clock;
  #timer: Timer | undefined;

  constructor(options: LineJoinerOptions, onEntry: (text: string) => void, clock: Clock) {
    this.#clock = clock;
    this.#options = options;
    this.#onEntry = onEntry;
  }

  push(line: string): void {
    if (!this.#continues(line) || this.#lines.length >= this.#options.maxLines) this.flush();
    this.#lines.push(line);
    this.#timer?.close();
    this.#timer = this.#clock.setTimeout(() => this.flush(), this.#options.flushMs);
  }

  /** Emits what is held back. */
  flush(): void {
    this.#timer?.close();
    if (this.#lines.length === 0) return;
    const text = this.#lines.join("\n");
    this.#lines = [];
    this.#onEntry(text);
  }

  #continues(line: string): boolean {
    const { start } = this.#options;
    // A pattern with the flag g or y would remember where it stopped.
    if (start !== undefined) return line.search(start) === -1;
    if (CONTINUATION.test(line)) return true;
    const [first = ""] = this.#lines;
    const before = this.#lines.at(-1) ?? "";
    return TRACEBACK.test(first) && /^\s/.test(before);
  }
}
