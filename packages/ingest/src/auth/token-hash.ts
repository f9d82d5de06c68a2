import { xxhash128 } from "hash-wasm";
import { TOKEN_HASH_BYTES } from "../framing/frame-header.ts";

/**
 * What a client sends for its token: the first 7 of the 32 lower-case hex characters of its XXH3
 * 128-bit hash (seed 0). It identifies the token, it does not keep it secret.
 */
export async function tokenHash(token: string): Promise<string> {
  const full = await xxhash128(token);
  return full.slice(0, TOKEN_HASH_BYTES);
}
