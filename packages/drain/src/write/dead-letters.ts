import type { Client } from "pg";
import type { StoredDeadLetter } from "../dead-letters/stored-dead-letter.ts";
import { DEAD_LETTER_TABLE } from "../schema/bookkeeping.ts";
import { copyIn } from "./copy.ts";

/** Longest reason that is kept, in characters. */
const MAX_REASON_LENGTH = 2_000;
const HEX_PIECE_BYTES = 16 * 1024 * 1024;

/** A payload or record that could not land, with its exact bytes. */
export interface DeadLetter extends Pick<
  StoredDeadLetter,
  "payloadId" | "recordIndex" | "destination" | "code" | "reason" | "token"
> {
  /** Unix milliseconds. */
  receivedAt: number;
  content: Uint8Array;
}

const COPY_SQL = `COPY ${DEAD_LETTER_TABLE}(batch_id, payload_id, record_index, destination, code, reason, token, received_at, attempts, last_tried_at, content) FROM STDIN`;

/**
 * Writes dead letters as part of the batch's transaction.
 *
 * @param attempts replays that they have behind them, the last one just now.
 */
export async function copyDeadLetters(
  client: Client,
  batchId: string,
  letters: readonly DeadLetter[],
  attempts = 0,
): Promise<void> {
  if (letters.length === 0) return;
  const lines = letters.flatMap((letter) => [
    Buffer.from(toFields(batchId, letter, attempts)),
    ...toHex(letter.content),
    Buffer.from("\n"),
  ]);
  await copyIn(client, COPY_SQL, Buffer.concat(lines));
}

/** All of a line that comes before the hexadecimal digits of its content. */
function toFields(batchId: string, letter: DeadLetter, attempts: number): string {
  return [
    batchId,
    letter.payloadId,
    letter.recordIndex ?? "\\N",
    letter.destination === undefined ? "\\N" : escapeText(letter.destination),
    escapeText(letter.code),
    escapeText(storableReason(letter.reason)),
    escapeText(letter.token),
    new Date(letter.receivedAt).toISOString(),
    attempts,
    attempts === 0 ? "\\N" : new Date().toISOString(),
    String.raw`\\x`,
  ].join("\t");
}

/** In pieces: the digits of a large payload are more than a string can hold. */
function toHex(content: Uint8Array): Buffer[] {
  const pieces: Buffer[] = [];
  for (let start = 0; start < content.byteLength; start += HEX_PIECE_BYTES) {
    const piece = content.subarray(start, start + HEX_PIECE_BYTES);
    const digits = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString("hex");
    pieces.push(Buffer.from(digits, "latin1"));
  }
  return pieces;
}

/** At most as long as is kept, and with U+FFFD for what PostgreSQL's text cannot hold: reasons may quote bad input. */
export function storableReason(reason: string): string {
  return storable(reason.slice(0, MAX_REASON_LENGTH));
}

function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

/** COPY's escapes. */
function escapeText(text: string): string {
  return storable(text)
    .replaceAll("\\", "\\\\")
    .replaceAll("\t", "\\t")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r");
}
