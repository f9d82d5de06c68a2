/** What one load came to, as the generator saw it. */
export interface LoadResult {
  sent: number;
  /** Answered with `2:OK`. */
  acknowledged: number;
  /** Answered with anything else. */
  refused: number;
  /** Not answered: the connection was refused, broke or timed out. */
  unanswered: number;
  /** From the first byte to the last answer. */
  seconds: number;
  /** From sending a payload (with a connection each: from connecting) to its answer. */
  latencyMs: { p50: number; p99: number };
  /** What the generator itself used; near `seconds`, it is the generator that was measured. */
  cpuSeconds: number;
}

/** Counts what becomes of payloads while a load runs. */
export class LoadTally {
  sent = 0;
  acknowledged = 0;
  refused = 0;
  unanswered = 0;
  readonly #startedAt = performance.now();
  readonly #cpuAtStart = process.cpuUsage();
  #lastAnswerAt = this.#startedAt;
  readonly #latenciesMs: number[] = [];

  acknowledge(sentAt: number, now: number): void {
    this.acknowledged++;
    this.#lastAnswerAt = now;
    this.#latenciesMs.push(now - sentAt);
  }

  result(): LoadResult {
    const { user, system } = process.cpuUsage(this.#cpuAtStart);
    const sorted = Float64Array.from(this.#latenciesMs).toSorted();
    const percentile = (share: number) =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
    return {
      sent: this.sent,
      acknowledged: this.acknowledged,
      refused: this.refused,
      unanswered: this.unanswered,
      seconds: (this.#lastAnswerAt - this.#startedAt) / 1_000,
      latencyMs: { p50: percentile(0.5), p99: percentile(0.99) },
      cpuSeconds: (user + system) / 1_000_000,
    };
  }
}
