/** What {@link WorkerPermits} hold all workers to. */
export interface WorkerLimits {
  /** Workers that may claim. */
  concurrency: number;
  /** Payloads that a batch may have. */
  batchRows: number;
  /** Rest after a batch, as a share of what landing it took. */
  restShare: number;
}

/**
 * Which worker threads may claim batches, in memory that they share: at most `concurrency` of them.
 *
 * A permit is kept from batch to batch; a worker that has none closes its connection and rests. The
 * pool takes back the permit of a thread that has died.
 */
export class WorkerPermits {
  /** For worker threads. */
  readonly memory: SharedArrayBuffer;
  readonly #held: BigUint64Array;
  readonly #limits: Int32Array;

  /** @param memory that of another thread's permits; without it they are new. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(24)) {
    this.memory = memory;
    this.#held = new BigUint64Array(memory, 0, 1);
    this.#limits = new Int32Array(memory, 8, 3);
  }

  set({ concurrency, batchRows, restShare }: WorkerLimits): void {
    Atomics.store(this.#limits, 0, concurrency);
    Atomics.store(this.#limits, 1, batchRows);
    Atomics.store(this.#limits, 2, Math.round(restShare * 1_000));
  }

  /** Payloads that a batch may have. */
  get batchRows(): number {
    return Atomics.load(this.#limits, 1);
  }

  /** How long a worker rests after a batch, as a share of what landing it took. */
  get restShare(): number {
    return Atomics.load(this.#limits, 2) / 1_000;
  }

  /** Whether the worker, from 0 to 63, may claim; takes a permit, or gives one back, as need be. */
  mayClaim(worker: number): boolean {
    const bit = 1n << BigInt(worker);
    for (;;) {
      const held = Atomics.load(this.#held, 0);
      const others = countBits(held & ~bit);
      const isHolder = (held & bit) !== 0n;
      const isAllowed = others < Atomics.load(this.#limits, 0);
      if (isAllowed === isHolder) return isAllowed;
      const wanted = isAllowed ? held | bit : held & ~bit;
      if (Atomics.compareExchange(this.#held, 0, held, wanted) === held) return isAllowed;
    }
  }

  /** Takes a permit back. */
  revoke(worker: number): void {
    Atomics.and(this.#held, 0, ~(1n << BigInt(worker)) & 0xffff_ffff_ffff_ffffn);
  }
}

function countBits(bits: bigint): number {
  let count = 0;
  for (let rest = bits; rest !== 0n; rest &= rest - 1n) count++;
  return count;
}
