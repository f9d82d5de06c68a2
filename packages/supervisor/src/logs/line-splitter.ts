import { StringDecoder } from "node:string_decoder";

/** Receives one line without its line break; `truncated` when it was cut at the length limit. */
export type OnLine = (line: string, truncated: boolean) => void;

/**
 * Cuts a byte stream into lines wherever its chunks begin and end: lines and UTF-8 characters that
 * straddle chunks come out whole. A line longer than the limit is cut there and the rest of it is
 * dropped and counted, so that a child without line breaks can't fill the memory.
 */
export class LineSplitter {
  readonly #decoder = new StringDecoder("utf8");
  readonly #maxLineLength: number;
  readonly #onLine: OnLine;
  #pending = "";
  #discarding = false;
  /** Characters dropped from lines that were too long. */
  droppedCharacters = 0;

  /** `maxLineLength` is in UTF-16 units. */
  constructor(maxLineLength: number, onLine: OnLine) {
    this.#maxLineLength = maxLineLength;
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    this.#pushText(this.#decoder.write(chunk));
  }

  /** Emits what is left after the last line break. */
  end(): void {
    this.#pushText(this.#decoder.end());
    if (this.#pending !== "") this.#emit(this.#pending, false);
    this.#pending = "";
    this.#discarding = false;
  }

  #pushText(text: string): void {
    let from = 0;
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
      this.#append(text.slice(from, at));
      from = at + 1;
      if (!this.#discarding) this.#emit(this.#pending, false);
      this.#pending = "";
      this.#discarding = false;
    }
    if (from < text.length) this.#append(text.slice(from));
  }

  #append(part: string): void {
    if (this.#discarding) {
      this.droppedCharacters += part.length;
      return;
    }
    const room = this.#maxLineLength - this.#pending.length;
    if (part.length <= room) {
      this.#pending += part;
      return;
    }
    this.droppedCharacters += part.length - room;
    this.#emit(this.#pending + part.slice(0, room), true);
    this.#pending = "";
    this.#discarding = true;
  }

  #emit(line: string, truncated: boolean): void {
    this.#onLine(line.endsWith("\r") ? line.slice(0, -1) : line, truncated);
  }
}
