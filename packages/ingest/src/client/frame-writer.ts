import type { Writable } from "node:stream";

/** Writes one frame; the payload goes to the socket as it is, without a copy. */
export function writeFrame(stream: Writable, tokenHash: string, payload: Uint8Array): void {
  const header = `v1:${tokenHash}:`;
  stream.cork();
  stream.write(`${header.length + payload.byteLength}:${header}`, "latin1");
  stream.write(payload);
  stream.uncork();
}
