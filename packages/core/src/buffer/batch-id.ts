import { randomUUID } from "node:crypto";
import { crc32 } from "node:zlib";

const CHECK_DIGITS = 8;

/**
 * A UUID whose last 8 digits check the others: of two copies of a damaged claim it tells which one
 * the destination's ledger may know.
 */
export function createBatchId(): string {
  const random = randomUUID().slice(0, -CHECK_DIGITS);
  return random + checkDigits(random);
}

export function isBatchId(text: string): boolean {
  const body = text.slice(0, -CHECK_DIGITS);
  return text.length === 36 && text.slice(-CHECK_DIGITS) === checkDigits(body);
}

function checkDigits(text: string): string {
  return crc32(text).toString(16).padStart(CHECK_DIGITS, "0");
}
