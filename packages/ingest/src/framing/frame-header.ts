import type { RefusalReason } from "../refusal.ts";

/** Bytes that LENGTH counts besides the payload: `v1:`, the token hash and a colon. */
export const FRAME_OVERHEAD_BYTES = 11;
/** A token is identified by this many characters of its hash. */
export const TOKEN_HASH_BYTES = 7;

const MAX_LENGTH_DIGITS = 10;
const COLON = 0x3a;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const VERSION = Buffer.from("v1:");

/**
 * Reads `LENGTH:v1:TOKENHASH:` byte by byte, so that a header may be split anywhere and a wrong one
 * is refused at its first wrong byte.
 */
export class FrameHeader {
  /** Of the frame whose header is complete; overwritten by the next one. */
  readonly tokenHash = new Uint8Array(TOKEN_HASH_BYTES);
  readonly #maxFrameBytes: number;
  #length = 0;
  #digits = 0;
  /** Bytes taken after LENGTH's colon; undefined before it. */
  #taken: number | undefined;

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  get isBegun(): boolean {
    return this.#digits > 0;
  }

  get isComplete(): boolean {
    return this.#taken === FRAME_OVERHEAD_BYTES;
  }

  /** Valid once the header is complete. */
  get payloadBytes(): number {
    return this.#length - FRAME_OVERHEAD_BYTES;
  }

  /** Takes header bytes of `chunk` from `offset`; returns where they end, or why they are refused. */
  read(chunk: Uint8Array, offset: number): number | RefusalReason {
    let at = offset;
    while (at < chunk.length && !this.isComplete) {
      const byte = chunk[at++] ?? 0;
      const refusal = this.#taken === undefined ? this.#readLength(byte) : this.#readRest(byte);
      if (refusal !== undefined) return refusal;
    }
    return at;
  }

  reset(): void {
    this.#length = 0;
    this.#digits = 0;
    this.#taken = undefined;
  }

  #readLength(byte: number): RefusalReason | undefined {
    if (byte === COLON && this.#digits > 0) {
      this.#taken = 0;
      if (this.#length < FRAME_OVERHEAD_BYTES) return "frame_too_small";
      if (this.#length === FRAME_OVERHEAD_BYTES) return "empty";
      return this.#length > this.#maxFrameBytes ? "frame_too_large" : undefined;
    }
    const hasLeadingZero = this.#digits > 0 && this.#length === 0;
    if (byte < DIGIT_0 || byte > DIGIT_9 || hasLeadingZero || this.#digits === MAX_LENGTH_DIGITS) {
      return "bad_header";
    }
    this.#length = this.#length * 10 + byte - DIGIT_0;
    this.#digits++;
    return undefined;
  }

  #readRest(byte: number): RefusalReason | undefined {
    const at = this.#taken ?? 0;
    this.#taken = at + 1;
    if (at < VERSION.length) return byte === VERSION[at] ? undefined : "version";
    const isLast = at === FRAME_OVERHEAD_BYTES - 1;
    if ((byte === COLON) !== isLast) return "bad_header";
    if (!isLast) this.tokenHash[at - VERSION.length] = byte;
    return undefined;
  }
}
