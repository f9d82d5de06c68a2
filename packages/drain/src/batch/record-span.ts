/** Elements between two remembered places. */
const STRIDE = 64;

/**
 * The exact texts of the elements of a JSON array, as they were sent: numbers with all their digits,
 * keys in their order, duplicates included. `text` must be valid JSON.
 *
 * Reads forward and remembers where it has been, so that asking for every element costs one pass.
 */
export class RecordTexts {
  readonly #text: string;
  /** Where every {@link STRIDE}th element begins: behind the comma, spaces included. */
  readonly #starts: number[] = [];
  /** The element that was found last, from its start to the comma or bracket behind it. */
  #index = -1;
  #start = 0;
  #end = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Undefined when the array has no such element. */
  at(index: number): string | undefined {
    if (index < this.#index || this.#index === -1) this.#restart(index);
    while (this.#index < index) {
      if (this.#text[this.#end] !== ",") return undefined;
      this.#moveTo(this.#index + 1, this.#end + 1);
    }
    return this.#text.slice(this.#start, this.#end).trim() || undefined;
  }

  #restart(index: number): void {
    const remembered = Math.min(Math.floor(index / STRIDE), this.#starts.length - 1);
    if (remembered >= 0) this.#moveTo(remembered * STRIDE, this.#starts[remembered] ?? 0);
    else this.#moveTo(0, this.#text.indexOf("[") + 1);
  }

  #moveTo(index: number, start: number): void {
    this.#index = index;
    this.#start = start;
    this.#end = elementEnd(this.#text, start);
    if (index === this.#starts.length * STRIDE) this.#starts.push(start);
  }
}

/** One element of {@link RecordTexts}. */
export function recordText(text: string, index: number): string | undefined {
  return new RecordTexts(text).at(index);
}

/**
 * Cuts what should be a JSON array into the texts of its elements without reading them: what is
 * wrong within an element shows when it is read.
 *
 * @throws SyntaxError for anything before, between or behind the elements that does not belong there.
 */
export function* splitArray(text: string): Generator<string> {
  const open = /^[ \t\r\n]*\[/.exec(text);
  if (open === null) throw new SyntaxError("it does not start with [");
  let start = open[0].length;
  for (let index = 0; ; index++) {
    const end = elementEnd(text, start);
    const element = text.slice(start, end).trim();
    const isLast = text[end] === "]";
    if (!isLast && text[end] !== ",") throw new SyntaxError(`element ${index} does not end`);
    if (element !== "") yield element;
    else if (!isLast || index > 0) throw new SyntaxError(`element ${index} is missing`);
    start = end + 1;
    if (isLast) break;
  }
  if (/[^ \t\r\n]/.test(text.slice(start))) throw new SyntaxError("something follows its last ]");
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
