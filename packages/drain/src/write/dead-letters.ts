import type { Client } from "pg";
import { DEAD_LETTER_TABLE } from "../schema/bookkeeping.ts";
import { copyIn } from "./copy.ts";

/** Longest reason that is kept, in characters. */
const MAX_REASON_LENGTH = 2_000;

/** A payload or record that could not land, with its exact bytes. */
export interface DeadLetter {
  payloadId: number;
  /** Place of the record in its payload, from 0; undefined when the whole payload is at fault. */
  recordIndex: number | undefined;
  /** The table it was meant for, where that is known. */
  destination: string | undefined;
  /** Short and stable: what kind of fault. */
  code: string;
  /** For a person. */
  reason: string;
  token: string;
  /** Unix milliseconds. */
  receivedAt: number;
  content: Uint8Array;
}

const COPY_SQL = `COPY ${DEAD_LETTER_TABLE}(batch_id, payload_id, record_index, destination, code, reason, token, received_at, content) FROM STDIN`;

/** Writes dead letters as part of the batch's transaction. */
export async function copyDeadLetters(
  client: Client,
  batchId: string,
  letters: readonly DeadLetter[],
): Promise<void> {
  if (letters.length === 0) return;
  await copyIn(client, COPY_SQL, letters.map((letter) => toLine(batchId, letter)).join(""));
}

function toLine(batchId: string, letter: DeadLetter): string {
  const content = Buffer.from(
    letter.content.buffer,
    letter.content.byteOffset,
    letter.content.byteLength,
  );
  return `${[
    batchId,
    letter.payloadId,
    letter.recordIndex ?? "\\N",
    letter.destination === undefined ? "\\N" : escapeText(letter.destination),
    escapeText(letter.code),
    escapeText(letter.reason.slice(0, MAX_REASON_LENGTH)),
    escapeText(letter.token),
    new Date(letter.receivedAt).toISOString(),
    `\\\\x${content.toString("hex")}`,
  ].join("\t")}\n`;
}

/** COPY's escapes, and U+FFFD for what PostgreSQL's text cannot hold: reasons may quote bad input. */
function escapeText(text: string): string {
  return text
    .toWellFormed()
    .replaceAll("\0", "\uFFFD")
    .replaceAll("\\", "\\\\")
    .replaceAll("\t", "\\t")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r");
}
