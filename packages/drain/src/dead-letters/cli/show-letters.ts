import { isUtf8 } from "node:buffer";
import { once } from "node:events";
import type { Writable } from "node:stream";
import type { DeadLetterFilter } from "../dead-letter-options.ts";
import type { DeadLetters, StoredDeadLetter } from "../dead-letters.ts";

/** Letters that are read at a time. */
const PAGE = 500;

/** Writes one line a letter, the newest first. */
export async function listLetters(
  deadLetters: DeadLetters,
  { filter, limit, isJson }: { filter: DeadLetterFilter; limit: number; isJson: boolean },
  out: Writable,
): Promise<void> {
  let left = limit;
  let cursor: string | undefined;
  do {
    const page = await deadLetters.list({ ...filter, cursor, limit: Math.min(left, PAGE) });
    for (const letter of page.letters) {
      const line = isJson ? JSON.stringify(letter) : lineOf(letter);
      if (!out.write(`${line}\n`)) await once(out, "drain");
    }
    left -= page.letters.length;
    cursor = page.nextCursor;
  } while (cursor !== undefined && left > 0);
}

/** Writes one letter with its content. @returns false when there is none of this id. */
export async function showLetter(
  deadLetters: DeadLetters,
  id: number,
  { isJson, isRaw }: { isJson: boolean; isRaw: boolean },
  out: Writable,
): Promise<boolean> {
  // The newest below the next id is this one, or another when it is gone.
  const { letters } = await deadLetters.list({
    cursor: String(id + 1),
    limit: 1,
    includeContent: true,
  });
  const [letter] = letters;
  if (letter?.id !== id) return false;
  const { content = Buffer.alloc(0), ...rest } = letter;
  if (isRaw) {
    out.write(content);
    return true;
  }
  const encoding = isUtf8(content) ? "utf8" : "base64";
  const text = content.toString(encoding);
  if (isJson) {
    out.write(`${JSON.stringify({ ...rest, encoding, content: text })}\n`);
    return true;
  }
  const fields = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value instanceof Date ? value.toISOString() : value}`);
  out.write(`${fields.join("\n")}\n\n${text}\n`);
  return true;
}

function lineOf({ id, createdAt, code, destination, token, reason }: StoredDeadLetter): string {
  // A reason may hold what the record held: it must not break the line, nor steer the terminal.
  const plain = JSON.stringify(reason).slice(1, -1);
  return `${id} ${createdAt.toISOString()} ${code} ${destination ?? "-"} ${token} ${plain}`;
}
