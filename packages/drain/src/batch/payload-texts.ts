import { openPayload } from "@millrace/core/thread";
import type { BufferedPayload } from "@millrace/core/buffer";
import { readText } from "./payload-reader.ts";
import { recordsOf, type SourceLimits } from "./payload-source.ts";
import { RecordTexts } from "./record-span.ts";

/**
 * Exact texts of records, for dead letters. Decodes a payload again only when another one was asked
 * for in between: many records of one payload may be refused.
 */
export class PayloadTexts {
  readonly #limits: SourceLimits;
  #payload: BufferedPayload | undefined;
  #texts: { at(index: number): string | undefined } | undefined;

  constructor(limits: SourceLimits) {
    this.#limits = limits;
  }

  /** @param payload one that has been read before. */
  recordBytes(payload: BufferedPayload, recordIndex: number): Buffer {
    if (this.#payload !== payload || this.#texts === undefined) {
      this.#texts = this.#read(payload);
      this.#payload = payload;
    }
    return Buffer.from(this.#texts.at(recordIndex) ?? "");
  }

  #read(payload: BufferedPayload): { at(index: number): string | undefined } {
    const { kind, content } = openPayload(payload.payload);
    if (kind === "records") return new RecordTexts(readText(content, this.#limits));
    const records = [...recordsOf(payload, this.#limits)];
    return { at: (index) => records[index]?.text() };
  }
}
