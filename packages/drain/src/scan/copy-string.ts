import {
  BACKSLASH,
  LETTER_B,
  LETTER_F,
  LETTER_U,
  QUOTE,
  SLASH,
  UNICODE_ESCAPE_BYTES,
  unicodeEscape,
} from "./json-bytes.ts";

/** Up to so many bytes a loop is faster than a call. */
const LOOP_BYTES = 48;

/** Copies bytes that COPY takes as they are. @returns the index behind them in `target`. */
export function copyBytes(
  bytes: Buffer,
  start: number,
  end: number,
  target: Buffer,
  at: number,
): number {
  if (end - start > LOOP_BYTES) return at + bytes.copy(target, at, start, end);
  let to = at;
  for (let from = start; from < end; from++) target[to++] = bytes[from] as number;
  return to;
}

/**
 * Writes a JSON string as COPY text: what `copyText(JSON.parse())` makes of it, and never longer than
 * it is. `\\`, `\n`, `\r` and `\t` are the same in both.
 *
 * @param bytes of a string whose escapes `escapeEnd` has found good.
 */
export function copyEscapedString(
  bytes: Buffer,
  start: number,
  end: number,
  target: Buffer,
  at: number,
): number {
  let to = at;
  for (let from = start; from < end; from++) {
    const byte = bytes[from] as number;
    if (byte !== BACKSLASH) {
      target[to++] = byte;
      continue;
    }
    const escaped = bytes[from + 1] as number;
    switch (escaped) {
      case QUOTE:
      case SLASH:
        target[to++] = escaped;
        from++;
        break;
      case LETTER_B:
        target[to++] = 0x08;
        from++;
        break;
      case LETTER_F:
        target[to++] = 0x0c;
        from++;
        break;
      case LETTER_U: {
        const point = codePoint(bytes, from);
        to += writeUtf8(point, target, to);
        from += (point > 0xffff ? 2 : 1) * UNICODE_ESCAPE_BYTES - 1;
        break;
      }
      default:
        target[to++] = BACKSLASH;
        target[to++] = escaped;
        from++;
    }
  }
  return to;
}

function codePoint(bytes: Buffer, at: number): number {
  const unit = unicodeEscape(bytes, at);
  if (unit < 0xd800 || unit > 0xdfff) return unit;
  const second = unicodeEscape(bytes, at + UNICODE_ESCAPE_BYTES);
  return 0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00);
}

/** @returns how many bytes it wrote. */
function writeUtf8(point: number, target: Buffer, at: number): number {
  if (point < 0x80) {
    target[at] = point;
    return 1;
  }
  const bytes = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  let rest = point;
  for (let index = bytes - 1; index > 0; index--) {
    target[at + index] = 0x80 | (rest & 0x3f);
    rest >>= 6;
  }
  target[at] = ((0xf00 >> bytes) & 0xff) | rest;
  return bytes;
}
