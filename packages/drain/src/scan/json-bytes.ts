export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const MINUS = 0x2d;
export const DOT = 0x2e;
export const ZERO = 0x30;
export const NINE = 0x39;
export const COLON = 0x3a;
export const BRACKET_OPEN = 0x5b;
export const BACKSLASH = 0x5c;
export const BRACKET_CLOSE = 0x5d;
export const BRACE_OPEN = 0x7b;
export const BRACE_CLOSE = 0x7d;

/** JSON strings hold no bytes below it. */
export const FIRST_PRINTABLE = 0x20;

export const SLASH = 0x2f;
export const LETTER_B = 0x62;
export const LETTER_F = 0x66;
export const LETTER_N = 0x6e;
export const LETTER_R = 0x72;
export const LETTER_T = 0x74;
export const LETTER_U = 0x75;
export const UNICODE_ESCAPE_BYTES = 6;

/** The code unit of `\uXXXX` at `at`; -1 if that is none. */
export function unicodeEscape(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== BACKSLASH || bytes[at + 1] !== LETTER_U) return -1;
  let unit = 0;
  for (let digit = at + 2; digit < at + UNICODE_ESCAPE_BYTES; digit++) {
    const value = hexValue(bytes[digit] as number);
    if (value === -1) return -1;
    unit = unit * 16 + value;
  }
  return unit;
}

function hexValue(byte: number): number {
  if (byte >= ZERO && byte <= NINE) return byte - ZERO;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/**
 * Index behind the escape at `at`; -1 for one that is not JSON's, or that stands for what PostgreSQL's
 * text cannot hold or COPY writes in another way: half of a surrogate pair, a control character.
 */
export function escapeEnd(bytes: Uint8Array, at: number): number {
  if (isSimpleEscape(bytes[at + 1] as number)) return at + 2;
  const unit = unicodeEscape(bytes, at);
  if (unit < 0x20 || unit === BACKSLASH) return -1;
  if (unit < 0xd800 || unit > 0xdfff) return at + UNICODE_ESCAPE_BYTES;
  if (unit >= 0xdc00) return -1;
  const second = unicodeEscape(bytes, at + UNICODE_ESCAPE_BYTES);
  return second >= 0xdc00 && second <= 0xdfff ? at + 2 * UNICODE_ESCAPE_BYTES : -1;
}

/** One of `"`, `\`, `/`, `b`, `f`, `n`, `r` and `t`. */
function isSimpleEscape(byte: number): boolean {
  switch (byte) {
    case QUOTE:
    case BACKSLASH:
    case SLASH:
    case LETTER_B:
    case LETTER_F:
    case LETTER_N:
    case LETTER_R:
    case LETTER_T:
      return true;
    default:
      return false;
  }
}

/** Index of the comma or bracket behind the array element that starts at `start`, or `end`. */
export function elementEnd(bytes: Uint8Array, start: number, end: number): number {
  let depth = 0;
  for (let at = start; at < end; at++) {
    switch (bytes[at] as number) {
      case QUOTE:
        at = stringEnd(bytes, at + 1, end);
        break;
      case BRACKET_OPEN:
      case BRACE_OPEN:
        depth++;
        break;
      case BRACKET_CLOSE:
      case BRACE_CLOSE:
        if (depth === 0) return at;
        depth--;
        break;
      case COMMA:
        if (depth === 0) return at;
        break;
      default:
    }
  }
  return end;
}

/** Index of the quote that closes the string whose first character is at `at`, or `end`. */
function stringEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let index = at; index < end; index++) {
    if (bytes[index] === BACKSLASH) index++;
    else if (bytes[index] === QUOTE) return index;
  }
  return end;
}
