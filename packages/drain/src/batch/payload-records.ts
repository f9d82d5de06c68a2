import { messageOf } from "@millrace/core/thread";
import { RecordRefused } from "../encode/record-refused.ts";
import { heapBytesOf } from "./heap-estimate.ts";
import { parseRecords, PayloadRefused } from "./payload-reader.ts";
import { RecordTexts, splitArray } from "./record-span.ts";

/** Characters up to which a payload is read in one go: it cannot fill a heap, whatever it holds. */
export const MAX_WHOLE_LENGTH = 256 * 1024;

/** One record of a payload. */
export interface PayloadRecord {
  /** @throws {@link RecordRefused} when reading it would take too much memory. */
  read(): unknown;
  /** Its exact text. */
  text(): string;
}

/**
 * The records of a payload's text, those of a large payload one by one: a heap that overflows inside
 * JSON.parse ends the whole process, and reading can take 30 times the memory of the text.
 *
 * @throws {@link PayloadRefused} before the first record when the payload is not a JSON array.
 */
export function* payloadRecords(
  text: string,
  maxRecordHeapBytes: number,
): Generator<PayloadRecord> {
  if (text.length <= MAX_WHOLE_LENGTH) {
    const texts = new RecordTexts(text);
    for (const [index, value] of parseRecords(text).entries()) {
      yield { read: () => value, text: () => texts.at(index) ?? "" };
    }
    return;
  }
  checkArray(text, maxRecordHeapBytes);
  for (const record of splitArray(text)) {
    yield { read: () => readRecord(record, maxRecordHeapBytes), text: () => record };
  }
}

/** @throws {@link RecordRefused} when it would take too much memory. */
export function readRecord(text: string, maxHeapBytes: number): unknown {
  const heapBytes = heapBytesOf(text);
  if (heapBytes <= maxHeapBytes) return JSON.parse(text);
  throw new RecordRefused(
    `the record has ${text.length} characters and may need ${heapBytes} bytes of memory, the limit is ${maxHeapBytes}`,
  );
}

/** Reads every record once, keeping none, so that nothing of a payload lands that is not JSON. */
function checkArray(text: string, maxRecordHeapBytes: number): void {
  const first = /[^ \t\r\n]/.exec(text)?.[0];
  if (first !== "[") {
    const found =
      first === "{" ? "a JSON object" : `something that starts with ${JSON.stringify(first)}`;
    throw new PayloadRefused("not_array", `the payload is ${found}, expected an array of records`);
  }
  try {
    for (const record of splitArray(text)) {
      if (heapBytesOf(record) <= maxRecordHeapBytes) JSON.parse(record);
    }
  } catch (error) {
    throw new PayloadRefused("json_invalid", `the payload is not JSON: ${messageOf(error)}`);
  }
}
