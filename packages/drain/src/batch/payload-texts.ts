import type { BufferedPayload } from "@millrace/core/buffer";
import { readText } from "./payload-reader.ts";
import { RecordTexts } from "./record-span.ts";

/**
 * Exact texts of records, for dead letters. Decodes a payload again only when another one was asked
 * for in between: many records of one payload may be refused.
 */
export class PayloadTexts {
  readonly #maxInflatedBytes: number;
  #payload: BufferedPayload | undefined;
  #texts: RecordTexts | undefined;

  constructor(maxInflatedBytes: number) {
    this.#maxInflatedBytes = maxInflatedBytes;
  }

  /** @param payload one that has been read before. */
  recordBytes(payload: BufferedPayload, recordIndex: number): Buffer {
    if (this.#payload !== payload || this.#texts === undefined) {
      this.#texts = new RecordTexts(readText(payload.payload, this.#maxInflatedBytes));
      this.#payload = payload;
    }
    return Buffer.from(this.#texts.at(recordIndex) ?? "");
  }
}
