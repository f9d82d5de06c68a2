import { xxhash128 } from "hash-wasm";

/** The seven characters that stand for a token on the wire. */
export async function hashToken(token: string): Promise<string> {
  return (await xxhash128(token)).slice(0, 7);
}

/** `LENGTH:v1:HASH7:PAYLOAD`. */
export function encodeFrame(payload: Uint8Array | string, tokenHash: string): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload) : payload;
  const header = `v1:${tokenHash}:`;
  return Buffer.concat([Buffer.from(`${header.length + body.byteLength}:${header}`), body]);
}
