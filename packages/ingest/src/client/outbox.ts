import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { DropReason } from "./drop-tally.ts";
import { Fifo } from "./fifo.ts";
import { OBJECT_OVERHEAD_BYTES, retainBytes } from "./retained-bytes.ts";

const compress = promisify(gzip);

/** Records that go to the server together, in one frame. */
export interface Batch {
  readonly records: number;
  payload: Uint8Array;
  heldBytes: number;
  /** False while it is being compressed. */
  isReady: boolean;
  isSettled: boolean;
  firstRefusedAt: number | undefined;
  /** Resolves with whether it was acknowledged; if not it was dropped. */
  readonly settled: Promise<boolean>;
  readonly settle: (isAcknowledged: boolean) => void;
}

export interface OutboxOptions {
  maxBatchRecords: number;
  maxBatchBytes: number;
  maxBufferedBytes: number;
  delivery: "at-least-once" | "at-most-once";
  gzip: boolean;
  onDropped(reason: DropReason, records: number): void;
  /** Called when there may be something to send that was not there before. */
  onReady(): void;
}

/**
 * Everything that the client holds, oldest first: batches sent and not answered, batches that
 * wait, and the open one that still takes records. Its memory is bounded: the oldest waiting batch
 * goes first, since what happens now tells more than what happened before the server went away.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  #unanswered: Batch[] = [];
  readonly #waiting = new Fifo<Batch>();
  #texts: string[] = [];
  #openBytes = 0;
  #isOpenDue = false;
  #closedBytes = 0;
  #closedRecords = 0;
  acknowledgedRecords = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get unansweredBatches(): number {
    return this.#unanswered.length;
  }

  get bufferedBytes(): number {
    return this.#closedBytes + this.#openBytes;
  }

  get bufferedRecords(): number {
    return this.#closedRecords + this.#texts.length;
  }

  get hasOpenRecords(): boolean {
    return this.#texts.length > 0;
  }

  /** Whether a connection is worth opening. */
  get hasDue(): boolean {
    return this.#waiting.size > 0 || (this.#isOpenDue && this.hasOpenRecords);
  }

  /** Takes the JSON of one record, or says why not. */
  add(text: string): "taken" | "too_large" | "buffer_full" {
    const { maxBatchBytes, maxBatchRecords } = this.#options;
    // With a comma after each record but the last, and two brackets around all.
    const bytes = Buffer.byteLength(text) + 1;
    if (bytes + 1 > maxBatchBytes) return "too_large";
    if (this.#openBytes + bytes + 1 > maxBatchBytes) this.seal();
    if (!this.#makeRoom(bytes + OBJECT_OVERHEAD_BYTES)) return "buffer_full";
    this.#texts.push(text);
    this.#openBytes += bytes;
    if (this.#texts.length >= maxBatchRecords) this.seal();
    return "taken";
  }

  /** Lets the open batch go as it is, as soon as there is a free place on the connection. */
  markOpenDue(): void {
    this.#isOpenDue = true;
    this.#options.onReady();
  }

  /** Closes the open batch: it takes no more records. */
  seal(): void {
    if (!this.hasOpenRecords) return;
    const { bytes, heldBytes } = retainBytes(Buffer.from(`[${this.#texts.join(",")}]`));
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const batch: Batch = {
      records: this.#texts.length,
      payload: bytes,
      heldBytes,
      isReady: !this.#options.gzip,
      isSettled: false,
      firstRefusedAt: undefined,
      settled: promise,
      settle: resolve,
    };
    this.#texts = [];
    this.#openBytes = 0;
    this.#isOpenDue = false;
    this.#closedBytes += heldBytes;
    this.#closedRecords += batch.records;
    this.#waiting.push(batch);
    if (batch.isReady) this.#options.onReady();
    else void this.#compress(batch);
  }

  /** The next batch to send; from here on it is unanswered. */
  next(): Batch | undefined {
    if (this.#waiting.size === 0 && this.#isOpenDue) this.seal();
    if (this.#waiting.first?.isReady !== true) return undefined;
    const batch = this.#waiting.shift();
    if (batch !== undefined) this.#unanswered.push(batch);
    return batch;
  }

  acknowledgeFirst(): void {
    const batch = this.#unanswered.shift();
    if (batch === undefined) return;
    this.acknowledgedRecords += batch.records;
    this.#settle(batch, true);
  }

  /**
   * The connection is gone without a refusal. Whether the server has what is unanswered cannot be
   * known: it goes again, or is dropped.
   */
  loseUnanswered(): void {
    const lost = this.#unanswered;
    this.#unanswered = [];
    for (const batch of lost.toReversed()) {
      if (this.#options.delivery === "at-most-once") this.#drop(batch, "unanswered");
      else this.#waiting.unshift(batch);
    }
  }

  /**
   * The first unanswered batch was refused, so it was not stored: it may go again, unless it has
   * been refused for `retryMs`. Those sent after it were not answered at all.
   */
  refuseFirst(now: number, retryMs: number): void {
    const batch = this.#unanswered.shift();
    this.loseUnanswered();
    if (batch === undefined) return;
    batch.firstRefusedAt ??= now;
    if (now - batch.firstRefusedAt >= retryMs) this.#drop(batch, "refused");
    else this.#waiting.unshift(batch);
  }

  dropAll(): void {
    this.seal();
    for (const batch of this.#unanswered.splice(0)) this.#drop(batch, "unanswered");
    for (let batch = this.#waiting.shift(); batch; batch = this.#waiting.shift()) {
      this.#drop(batch, "closed");
    }
  }

  /** Resolves when what is here now is settled: with true if all of it was acknowledged. */
  async settled(): Promise<boolean> {
    this.seal();
    const all = [...this.#unanswered, ...this.#waiting].map((batch) => batch.settled);
    const outcomes = await Promise.all(all);
    return outcomes.every(Boolean);
  }

  #makeRoom(bytes: number): boolean {
    const { maxBufferedBytes } = this.#options;
    while (this.bufferedBytes + bytes > maxBufferedBytes) {
      const oldest = this.#waiting.shift();
      if (oldest === undefined) return false;
      this.#drop(oldest, "buffer_full");
    }
    return true;
  }

  async #compress(batch: Batch): Promise<void> {
    try {
      const { bytes, heldBytes } = retainBytes(await compress(batch.payload));
      batch.payload = bytes;
      if (!batch.isSettled) this.#closedBytes += heldBytes - batch.heldBytes;
      batch.heldBytes = heldBytes;
    } catch {
      // Without memory for compressing, it goes as it is.
    }
    batch.isReady = true;
    this.#options.onReady();
  }

  #drop(batch: Batch, reason: DropReason): void {
    this.#settle(batch, false);
    this.#options.onDropped(reason, batch.records);
  }

  #settle(batch: Batch, isAcknowledged: boolean): void {
    batch.isSettled = true;
    this.#closedBytes -= batch.heldBytes;
    this.#closedRecords -= batch.records;
    batch.settle(isAcknowledged);
  }
}
