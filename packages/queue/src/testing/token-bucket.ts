/** How large a bucket is and how fast it fills, as the limits say at the moment. */
interface BucketSize {
  capacity: number;
  refillPerMs: number;
}

/** A lazily refilled bucket that may be closed for a while; times are Unix milliseconds. */
export class TokenBucket {
  #value: number;
  #at: number | undefined;
  #blockedUntil = 0;

  constructor(capacity: number) {
    this.#value = capacity;
  }

  /** How long until `cost` may be taken, in milliseconds. */
  waitMs({ cost, ...size }: BucketSize & { cost: number }, now: number): number {
    const blockedMs = Math.max(0, this.#blockedUntil - now);
    const value = this.#filled(size, now);
    // What is larger than the bucket waits for a full one, so that it is not refused for ever.
    const need = Math.min(cost, size.capacity);
    // A millionth of tolerance: the refill is a sum of fractions.
    if (value + 1e-6 >= need) return blockedMs;
    return Math.max(blockedMs, (need - value) / size.refillPerMs);
  }

  /** Takes `cost`, below zero if it is larger than the bucket. */
  take({ cost, ...size }: BucketSize & { cost: number }, now: number): void {
    this.#value = this.#filled(size, now) - cost;
    this.#at = now;
  }

  giveBack({ capacity }: BucketSize, tokens: number): void {
    this.#value = Math.min(capacity, this.#value + tokens);
  }

  /** Lowers it to what was left at a time, with what has come in since; never raises it. */
  lower(size: BucketSize, { to, at, now }: { to: number; at: number; now: number }): void {
    const most = to + (now - at) * size.refillPerMs;
    if (most >= this.#filled(size, now)) return;
    this.#value = most;
    this.#at = now;
  }

  /** Closes it; never for a shorter time than it is closed already. */
  block(until: number): void {
    this.#blockedUntil = Math.max(this.#blockedUntil, until);
  }

  #filled({ capacity, refillPerMs }: BucketSize, now: number): number {
    return Math.min(capacity, this.#value + Math.max(0, now - (this.#at ?? now)) * refillPerMs);
  }
}
