/**
 * Restarts that all instances of one process may spend together: a bad deploy of fifty instances
 * then costs as many starts per minute as the budget allows, not fifty times the backoff's.
 */
export class RestartBudget {
  readonly #restarts: number;
  readonly #windowMs: number;
  #tokens: number;
  #at: number | undefined;

  /** At most `restarts` per `windowMs` milliseconds in the long run, as many at once. */
  constructor(restarts: number, windowMs: number) {
    this.#restarts = restarts;
    this.#windowMs = windowMs;
    this.#tokens = restarts;
  }

  /** Takes one restart and says how many milliseconds from `nowMs` it has to wait. */
  take(nowMs: number): number {
    const perMs = this.#restarts / this.#windowMs;
    const elapsedMs = Math.max(0, nowMs - (this.#at ?? nowMs));
    this.#at = nowMs;
    this.#tokens = Math.min(this.#restarts, this.#tokens + elapsedMs * perMs) - 1;
    return this.#tokens >= 0 ? 0 : -this.#tokens / perMs;
  }
}
