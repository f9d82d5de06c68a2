import { crc32 } from "node:zlib";

/**
 * CRC-32 of a row: SQLite has none of its own, and a flipped bit in a payload looks like a payload.
 * The other columns go in as the initial value.
 */
export function checksumOf(
  id: number,
  receivedAt: number,
  token: number,
  payload: Uint8Array,
): number {
  return crc32(payload, (fold(id) ^ fold(receivedAt) ^ (token << 16)) >>> 0);
}

/** A safe integer's upper and lower halves in 32 bits. */
function fold(value: number): number {
  return value ^ Math.trunc(value / 2 ** 32);
}
