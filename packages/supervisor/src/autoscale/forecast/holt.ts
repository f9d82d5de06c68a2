/** How fast a forecast follows. */
export interface HoltOptions {
  /** Time constant of the level, in seconds. */
  levelSeconds: number;
  /** Time constant of the trend, in seconds. */
  trendSeconds: number;
  /** What is left of the trend after each second ahead, in (0, 1). */
  dampingPerSecond: number;
}

/**
 * Damped Holt smoothing over samples that need not come evenly: a level and a trend that fades the
 * further one looks, so that a steep start isn't taken for the rest of the day.
 */
export class DampedHolt {
  readonly #options: HoltOptions;
  #level: number | undefined;
  #trendPerSecond = 0;

  constructor(options: HoltOptions) {
    this.#options = options;
  }

  get level(): number | undefined {
    return this.#level;
  }

  /** Takes the mean value of the last `elapsedSeconds`. */
  observe(value: number, elapsedSeconds: number): void {
    if (elapsedSeconds <= 0) return;
    if (this.#level === undefined) {
      this.#level = value;
      return;
    }
    const { levelSeconds, trendSeconds } = this.#options;
    const damped = this.#trendPerSecond * this.#dampedSeconds(elapsedSeconds);
    const alpha = 1 - Math.exp(-elapsedSeconds / levelSeconds);
    const beta = 1 - Math.exp(-elapsedSeconds / trendSeconds);
    const level = alpha * value + (1 - alpha) * (this.#level + damped);
    const slope = (level - this.#level) / elapsedSeconds;
    this.#trendPerSecond = beta * slope + (1 - beta) * this.#trendPerSecond;
    this.#level = level;
  }

  /** The value to expect in `aheadSeconds`, never below zero. */
  forecast(aheadSeconds: number): number {
    return Math.max(
      0,
      (this.#level ?? 0) + this.#trendPerSecond * this.#dampedSeconds(aheadSeconds),
    );
  }

  /** Sum of the fading trend over the seconds ahead. */
  #dampedSeconds(seconds: number): number {
    const { dampingPerSecond } = this.#options;
    const decay = Math.log(dampingPerSecond);
    return (Math.exp(decay * seconds) - 1) / decay;
  }
}
