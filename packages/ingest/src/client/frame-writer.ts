import type { Writable } from "node:stream";
import { HEADER_BYTES_IN_LENGTH } from "../framing/frame-header.ts";

/** Writes one frame; the payload goes to the socket as it is, without a copy. */
export function writeFrame(stream: Writable, tokenHash: string, payload: Uint8Array): void {
  stream.cork();
  stream.write(`${HEADER_BYTES_IN_LENGTH + payload.byteLength}:v1:${tokenHash}:`, "latin1");
  stream.write(payload);
  stream.uncork();
}
