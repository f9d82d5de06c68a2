import { copyText } from "./copy-text.ts";
import { RecordRefused } from "./record-refused.ts";
import { textProblem } from "./text-problem.ts";
import { microsecondsText } from "./timestamp-text.ts";

/** What a record has from the payload that brought it. */
export interface RecordMeta {
  /** When the payload arrived, in Unix milliseconds. */
  readonly receivedAt: number;
  /** Name of the token it was sent with. */
  readonly token: string;
}

/**
 * Makes the two values of {@link RecordMeta} COPY text, `received_at` first; remembers the last, since
 * the records of a payload share it.
 */
export function metaEncoder(): (meta: RecordMeta) => string {
  let receivedAt = Number.NaN;
  let token = "";
  let encoded = "";
  return (meta) => {
    if (meta.receivedAt !== receivedAt || meta.token !== token) {
      encoded = `${receivedAtText(meta.receivedAt)}\t${copyText(tokenText(meta.token))}`;
      receivedAt = meta.receivedAt;
      token = meta.token;
    }
    return encoded;
  };
}

/** @throws {@link RecordRefused} for a token that PostgreSQL cannot store. */
export function tokenText(token: string): string {
  const problem = textProblem(token);
  if (problem !== undefined) throw new RecordRefused(problem, { column: "token" });
  return token;
}

function receivedAtText(receivedAt: number): string {
  const text = microsecondsText(Math.round(receivedAt * 1_000));
  if (text === undefined) {
    throw new RecordRefused(`${receivedAt} is no moment of the years 1 to 9999 in milliseconds`, {
      column: "received_at",
    });
  }
  return text;
}
