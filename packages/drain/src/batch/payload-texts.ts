import type { BufferedPayload } from "@millrace/core/buffer";
import { readText, type TextLimits } from "./payload-reader.ts";
import { RecordTexts } from "./record-span.ts";

/**
 * Exact texts of records, for dead letters. Decodes a payload again only when another one was asked
 * for in between: many records of one payload may be refused.
 */
export class PayloadTexts {
  readonly #limits: TextLimits;
  #payload: BufferedPayload | undefined;
  #texts: RecordTexts | undefined;

  constructor(limits: TextLimits) {
    this.#limits = limits;
  }

  /** @param payload one that has been read before. */
  recordBytes(payload: BufferedPayload, recordIndex: number): Buffer {
    if (this.#payload !== payload || this.#texts === undefined) {
      this.#texts = new RecordTexts(readText(payload.payload, this.#limits));
      this.#payload = payload;
    }
    return Buffer.from(this.#texts.at(recordIndex) ?? "");
  }
}
