interface Bucket {
  tokens: number;
  atMs: number;
}

const MAX_PEERS = 10_000;
const BURST_FACTOR = 2;

/** A token bucket per peer address. Memory is bounded: the longest idle peers are forgotten first. */
export class RateLimiter {
  readonly #perSecond: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Takes one request of `peer`; if there is none left, how many seconds it has to wait. */
  take(peer: string, nowMs: number = performance.now()): number {
    const burst = this.#perSecond * BURST_FACTOR;
    const bucket = this.#buckets.get(peer) ?? { tokens: burst, atMs: nowMs };
    const earned = ((nowMs - bucket.atMs) / 1_000) * this.#perSecond;
    bucket.tokens = Math.min(burst, bucket.tokens + earned);
    bucket.atMs = nowMs;
    this.#buckets.delete(peer);
    this.#buckets.set(peer, bucket);
    if (this.#buckets.size > MAX_PEERS) {
      const [longestIdle] = this.#buckets.keys();
      if (longestIdle !== undefined) this.#buckets.delete(longestIdle);
    }
    if (bucket.tokens >= 1) {
      bucket.tokens--;
      return 0;
    }
    return (1 - bucket.tokens) / this.#perSecond;
  }
}
