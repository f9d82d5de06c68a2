import type { ByteBudget } from "../byte-budget.ts";
import type { RefusalReason } from "../refusal.ts";
import { FrameHeader } from "./frame-header.ts";
import { PayloadAssembly } from "./payload-assembly.ts";

/** A complete frame whose token was recognised. */
export interface Frame {
  /** Name of the token. */
  token: string;
  /** The payload as received; a view into the chunk when it came in one. */
  payload: Uint8Array;
}

export interface FrameReaderOptions {
  maxFrameBytes: number;
  /** Name of the token with this hash; undefined refuses the frame before its payload is read. */
  tokenName: (hash: Uint8Array) => string | undefined;
  /** Pays for payloads that come in more than one chunk. */
  budget: ByteBudget;
}

const EMPTY = new Uint8Array(0);

/**
 * Cuts a stream of bytes into frames, wherever it was split. Does no I/O: give it one chunk with
 * {@link FrameReader.push}, then call {@link FrameReader.next} until it wants more.
 */
export class FrameReader {
  readonly #options: FrameReaderOptions;
  readonly #header: FrameHeader;
  readonly #assembly: PayloadAssembly;
  #chunk: Uint8Array = EMPTY;
  #offset = 0;
  #token: string | undefined;

  constructor(options: FrameReaderOptions) {
    this.#options = options;
    this.#header = new FrameHeader(options.maxFrameBytes);
    this.#assembly = new PayloadAssembly(options.budget);
  }

  /** Whether bytes of a frame have come that `next` has not returned. */
  get isBegun(): boolean {
    return this.#header.isBegun || this.#offset < this.#chunk.length;
  }

  /** Whether a header is complete and its payload is not. */
  get isInPayload(): boolean {
    return this.#header.isComplete;
  }

  /** Takes the next bytes of the stream; the chunk before must be used up. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#offset = 0;
  }

  /** The next frame, why the stream is refused, or undefined when more bytes are needed. */
  next(): Frame | RefusalReason | undefined {
    const refusal = this.#readHeader();
    if (refusal !== undefined) return refusal;
    const payload = this.#header.isComplete ? this.#readPayload() : undefined;
    if (this.#offset === this.#chunk.length) this.push(EMPTY);
    if (payload === undefined || typeof payload === "string") return payload;
    const frame = { token: this.#token ?? "", payload };
    this.#header.reset();
    return frame;
  }

  /** Forgets everything; gives back what an unfinished payload holds of the budget. */
  discard(): void {
    this.#assembly.discard();
    this.#header.reset();
    this.push(EMPTY);
  }

  #readHeader(): RefusalReason | undefined {
    if (this.#header.isComplete) return undefined;
    const end = this.#header.read(this.#chunk, this.#offset);
    if (typeof end === "string") return end;
    this.#offset = end;
    if (!this.#header.isComplete) return undefined;
    this.#token = this.#options.tokenName(this.#header.tokenHash);
    return this.#token === undefined ? "token" : undefined;
  }

  #readPayload(): Uint8Array | RefusalReason | undefined {
    const totalBytes = this.#header.payloadBytes;
    const missing = totalBytes - this.#assembly.filled;
    const end = Math.min(this.#chunk.length, this.#offset + missing);
    const bytes = this.#chunk.subarray(this.#offset, end);
    this.#offset = end;
    if (bytes.length === totalBytes) return bytes;
    if (bytes.length === 0) return undefined;
    if (!this.#assembly.append(bytes, totalBytes)) return "memory";
    return bytes.length === missing ? this.#assembly.take() : undefined;
  }
}
