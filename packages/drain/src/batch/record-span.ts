/**
 * The exact texts of the elements of a JSON array, as they were sent: numbers with all their digits,
 * keys in their order, duplicates included. `text` must be valid JSON.
 *
 * Reads forward and remembers what it has passed, so that asking for every element costs one pass.
 */
export class RecordTexts {
  readonly #text: string;
  /** Where each element begins whose predecessor has been passed; behind the comma, spaces included. */
  readonly #starts: number[] = [];

  constructor(text: string) {
    this.#text = text;
    const first = text.indexOf("[") + 1;
    if (first > 0) this.#starts.push(first);
  }

  /** Undefined when the array has no such element. */
  at(index: number): string | undefined {
    while (this.#starts.length <= index) {
      const start = this.#starts.at(-1);
      if (start === undefined) return undefined;
      const end = elementEnd(this.#text, start);
      if (this.#text[end] !== ",") return undefined;
      this.#starts.push(end + 1);
    }
    const start = this.#starts[index];
    if (start === undefined) return undefined;
    const end = elementEnd(this.#text, start);
    return this.#text.slice(start, end).trim() || undefined;
  }
}

/** One element of {@link RecordTexts}. */
export function recordText(text: string, index: number): string | undefined {
  return new RecordTexts(text).at(index);
}

/** Index of the comma or bracket behind the element that starts at `position`. */
function elementEnd(text: string, position: number): number {
  let depth = 0;
  for (let at = position; at < text.length; at++) {
    switch (text.charAt(at)) {
      case '"':
        at = stringEnd(text, at);
        break;
      case "[":
      case "{":
        depth++;
        break;
      case "]":
      case "}":
        if (depth === 0) return at;
        depth--;
        break;
      case ",":
        if (depth === 0) return at;
        break;
      default:
    }
  }
  return text.length;
}

/** Index of the quote that closes the string opened at `start`. */
function stringEnd(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text[at - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return at;
  }
  return text.length;
}
