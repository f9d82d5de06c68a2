import type { LandedBatch } from "./write/batch-writer.ts";

/** How long landed batches may wait for their barrier, in milliseconds. */
const BARRIER_INTERVAL_MS = 200;
/** Payloads that may wait for one barrier: they take room in the buffer. */
const MAX_UNSETTLED_PAYLOADS = 20_000;

/** A batch that has been committed, but not known to be on PostgreSQL's disk. */
export interface UnsettledBatch {
  batchId: string;
  payloads: number;
  landed: LandedBatch;
  /** How long landing it took, in seconds. */
  seconds: number;
}

/** Batches of one worker that wait for a barrier. */
export class UnsettledBatches {
  #batches: UnsettledBatch[] = [];
  #payloads = 0;
  #oldestAt = 0;

  get batchIds(): string[] {
    return this.#batches.map(({ batchId }) => batchId);
  }

  get size(): number {
    return this.#batches.length;
  }

  /** Whether it is time for a barrier. */
  get isDue(): boolean {
    if (this.#batches.length === 0) return false;
    const waitedMs = performance.now() - this.#oldestAt;
    return this.#payloads >= MAX_UNSETTLED_PAYLOADS || waitedMs >= BARRIER_INTERVAL_MS;
  }

  add(batch: UnsettledBatch): void {
    if (this.#batches.length === 0) this.#oldestAt = performance.now();
    this.#batches.push(batch);
    this.#payloads += batch.payloads;
  }

  /** Takes all of them out. */
  take(): UnsettledBatch[] {
    const batches = this.#batches;
    this.#batches = [];
    this.#payloads = 0;
    return batches;
  }
}
