/** A dead letter as it is listed. */
export interface StoredDeadLetter {
  id: number;
  /** The batch it was in, a UUID. */
  batchId: string;
  /** Its payload's id in the buffer. */
  payloadId: number;
  /** Place of the record in its payload, from 0; undefined when the letter is the whole payload. */
  recordIndex: number | undefined;
  /** The table it was meant for, where that is known. */
  destination: string | undefined;
  /** Short and stable: what kind of fault. */
  code: string;
  /** For a person. */
  reason: string;
  token: string;
  /** When its payload was received. */
  receivedAt: Date;
  createdAt: Date;
  /** Replays that it has behind it. */
  attempts: number;
  lastTriedAt: Date | undefined;
  contentBytes: number;
  /** The record's text, or the payload, as sent; only when `includeContent` asked for it. */
  content?: Buffer;
}

/** Some dead letters, the newest first. */
export interface DeadLetterPage {
  letters: StoredDeadLetter[];
  /** The `cursor` of the next page; undefined on the last. */
  nextCursor: string | undefined;
}
