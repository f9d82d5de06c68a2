// Over how long instances that end together come back, and from how many on that is a wave.
const WAVE_MS = 1_000;
const SMALLEST_WAVE = 6;

/**
 * Spreads the restarts of instances that end together, as when what they all depend on went away:
 * the first one of a wave isn't held up, so that one that ends alone is back at once.
 */
export class RestartWave {
  #nextAt = Number.NEGATIVE_INFINITY;

  /** How many milliseconds from `nowMs` a restart keeps off the one before; below `capMs`. */
  take(nowMs: number, instances: number, capMs: number): number {
    if (instances < SMALLEST_WAVE) return 0;
    const at = Math.max(nowMs, this.#nextAt);
    this.#nextAt = at + Math.min(WAVE_MS, capMs) / instances;
    return Math.min(capMs, at - nowMs);
  }
}
