import { timingSafeEqual } from "node:crypto";
import { MillraceError } from "@millrace/core";
import type { IngestErrorCode } from "../errors.ts";
import type { NamedToken } from "../ingest-options.ts";
import { tokenHash } from "./token-hash.ts";

/** The name that payloads carry when every token is accepted. */
export const ANY_TOKEN_NAME = "default";

/** Finds the name of a token by the hash that came with a frame. */
export interface TokenStore {
  nameOf: (hash: Uint8Array) => string | undefined;
}

/**
 * Hashes the tokens once, for comparing in constant time later.
 *
 * @throws {@link MillraceError} `INGEST_TOKENS_AMBIGUOUS` when tokens of different names share a hash.
 */
export async function createTokenStore(
  tokens: ReadonlyArray<string | NamedToken>,
): Promise<TokenStore> {
  if (tokens.length === 0) return { nameOf: () => ANY_TOKEN_NAME };
  const namesByHash = new Map<string, string>();
  for (const entry of tokens) {
    const hash = await tokenHash(typeof entry === "string" ? entry : entry.token);
    const name = typeof entry === "string" ? hash : entry.name;
    const other = namesByHash.get(hash) ?? name;
    if (other !== name) throw ambiguous(hash, other, name);
    namesByHash.set(hash, name);
  }
  const known = [...namesByHash].map(([hash, name]) => ({ hash: Buffer.from(hash), name }));
  return {
    nameOf(hash) {
      let found: string | undefined;
      // No early exit: the time taken must not tell which token came close.
      for (const candidate of known) {
        if (timingSafeEqual(candidate.hash, hash)) found = candidate.name;
      }
      return found;
    },
  };
}

function ambiguous(hash: string, first: string, second: string): MillraceError<IngestErrorCode> {
  return new MillraceError(
    "INGEST_TOKENS_AMBIGUOUS",
    `the tokens named "${first}" and "${second}" both hash to ${hash}, clients send no more than that: replace one`,
    { details: { hash, names: [first, second] } },
  );
}
