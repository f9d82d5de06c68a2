const DEFAULT_BUDGET = { restarts: 60, windowMs: 60_000 };

/**
 * Restarts that all instances of one process may spend together: a bad deploy of fifty instances
 * then costs as many starts per minute as the budget allows, not fifty times the backoff's.
 */
export class RestartBudget {
  readonly #restarts: number;
  readonly #windowMs: number;
  #tokens: number;
  #at: number | undefined;

  readonly #isFixed: boolean;

  /** At most `restarts` per `windowMs` milliseconds in the long run, as many at once. */
  constructor(budget: { restarts: number; windowMs: number } | undefined) {
    const { restarts, windowMs } = budget ?? DEFAULT_BUDGET;
    this.#isFixed = budget !== undefined;
    this.#restarts = restarts;
    this.#windowMs = windowMs;
    this.#tokens = restarts;
  }

  /**
   * Takes one restart and says how many milliseconds from `nowMs` it has to wait. A budget that
   * nobody has chosen grants `atLeastPerMs`: it must not keep down what has healed.
   */
  take(nowMs: number, atLeastPerMs = 0): number {
    const ownPerMs = this.#restarts / this.#windowMs;
    const perMs = this.#isFixed ? ownPerMs : Math.max(ownPerMs, atLeastPerMs);
    const elapsedMs = Math.max(0, nowMs - (this.#at ?? nowMs));
    this.#at = nowMs;
    this.#tokens = Math.min(this.#restarts, this.#tokens + elapsedMs * perMs) - 1;
    return this.#tokens >= 0 ? 0 : -this.#tokens / perMs;
  }
}
