import { createHash, timingSafeEqual } from "node:crypto";
import type { NamedToken } from "../ingest-options.ts";
import { tokenHash } from "./token-hash.ts";
import { ANY_TOKEN_NAME } from "./token-store.ts";

/** Finds the name of a token by an `Authorization` header. */
export type BearerNameOf = (authorization: string | undefined) => string | undefined;

/** Compares whole tokens, not the 7 characters that frames carry, in constant time. */
export async function createBearerTokens(
  tokens: ReadonlyArray<string | NamedToken>,
): Promise<BearerNameOf> {
  if (tokens.length === 0) return () => ANY_TOKEN_NAME;
  const known = await Promise.all(
    tokens.map(async (entry) =>
      typeof entry === "string"
        ? { digest: digestOf(entry), name: await tokenHash(entry) }
        : { digest: digestOf(entry.token), name: entry.name },
    ),
  );
  return (authorization) => {
    const sent = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    if (sent === undefined) return undefined;
    const digest = digestOf(sent);
    let found: string | undefined;
    for (const candidate of known) {
      if (timingSafeEqual(candidate.digest, digest)) found = candidate.name;
    }
    return found;
  };
}

/** Of one length, whatever the token's. */
function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
