/** Shape of an exponential backoff with jitter. */
export interface BackoffOptions {
  /** Upper bound of the first wait, in milliseconds. @default 250 */
  baseMs?: number | undefined;
  /** Upper bound of every wait, in milliseconds. @default 30_000 */
  capMs?: number | undefined;
  /** Source of randomness in [0, 1), for tests. @default Math.random */
  random?: (() => number) | undefined;
}

/**
 * Waits between tries: doubling up to a cap, drawn between half and all of that bound, so that
 * many clients of one server that came back do not return in step.
 */
export class Backoff {
  readonly #baseMs: number;
  readonly #capMs: number;
  readonly #random: () => number;
  #attempt = 0;

  constructor(options: BackoffOptions = {}) {
    this.#baseMs = options.baseMs ?? 250;
    this.#capMs = options.capMs ?? 30_000;
    this.#random = options.random ?? Math.random;
  }

  /** Failed tries since the last {@link Backoff.reset}. */
  get attempt(): number {
    return this.#attempt;
  }

  /** How long to wait before the next try, in milliseconds. */
  nextDelayMs(): number {
    const bound = Math.min(this.#capMs, this.#baseMs * 2 ** Math.min(this.#attempt, 30));
    this.#attempt++;
    return bound * (0.5 + this.#random() / 2);
  }

  /** To call after a success. */
  reset(): void {
    this.#attempt = 0;
  }
}
