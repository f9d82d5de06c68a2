/**
 * What one value can add to the heap. Measured with Node 24 over arrays and objects that are empty,
 * nested, of distinct keys, distinct shapes and far-apart numeric keys: 8 to 104 bytes.
 */
const VALUE_BYTES = 112;
/** A string may hold two bytes a character. */
const CHARACTER_BYTES = 2;

const COMMA = 0x2c;
const BRACKET = 0x5b;
const BRACE = 0x7b;

/** At most how much heap reading a JSON text takes, in bytes. */
export function heapBytesOf(text: string): number {
  let values = 1;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // Each value has one of these before it, or is the first; within strings they are counted too.
    if (code === COMMA || code === BRACKET || code === BRACE) values++;
  }
  return values * VALUE_BYTES + text.length * CHARACTER_BYTES;
}
