/**
 * The exact text of one element of a JSON array, as it was sent: numbers with all their digits,
 * keys in their order, duplicates included. `text` must be valid JSON.
 *
 * @returns undefined when the array has no such element.
 */
export function recordText(text: string, index: number): string | undefined {
  let position = text.indexOf("[") + 1;
  for (let element = 0; position > 0 && position < text.length; element++) {
    const end = elementEnd(text, position);
    if (element === index) return text.slice(position, end).trim() || undefined;
    if (text[end] !== ",") return undefined;
    position = end + 1;
  }
  return undefined;
}

/** Index of the comma or bracket behind the element that starts at `position`. */
function elementEnd(text: string, position: number): number {
  let depth = 0;
  for (let at = position; at < text.length; at++) {
    const character = text[at];
    const closes = character === "]" || character === "}";
    if (depth === 0 && (closes || character === ",")) return at;
    if (character === '"') at = stringEnd(text, at);
    else if (character === "[" || character === "{") depth++;
    else if (closes) depth--;
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
