interface Sample {
  atMs: number;
  bytes: number;
}

const KEPT = 60;
const MIN_SAMPLES = 10;
// Share of the variance that a straight line must explain: a sawtooth of garbage collection doesn't.
const MIN_FIT = 0.85;

/** Tells a steady leak from the ups and downs of memory, by a line of least squares. */
export class MemoryTrend {
  readonly #samples: Sample[] = [];

  add(atMs: number, bytes: number): void {
    this.#samples.push({ atMs, bytes });
    if (this.#samples.length > KEPT) this.#samples.shift();
  }

  /** When memory will cross `limitBytes` if it goes on so, in milliseconds; `undefined` without a leak. */
  crossesInMs(limitBytes: number): number | undefined {
    const newest = this.#samples.at(-1);
    if (newest === undefined || this.#samples.length < MIN_SAMPLES) return undefined;
    const line = fit(this.#samples);
    if (line.slope <= 0 || line.quality < MIN_FIT) return undefined;
    return Math.max(0, (limitBytes - newest.bytes) / line.slope);
  }
}

function fit(samples: readonly Sample[]): { slope: number; quality: number } {
  const count = samples.length;
  const meanAt = samples.reduce((sum, { atMs }) => sum + atMs, 0) / count;
  const meanBytes = samples.reduce((sum, { bytes }) => sum + bytes, 0) / count;
  let covariance = 0;
  let varianceAt = 0;
  let varianceBytes = 0;
  for (const { atMs, bytes } of samples) {
    covariance += (atMs - meanAt) * (bytes - meanBytes);
    varianceAt += (atMs - meanAt) ** 2;
    varianceBytes += (bytes - meanBytes) ** 2;
  }
  if (varianceAt === 0 || varianceBytes === 0) return { slope: 0, quality: 0 };
  return {
    slope: covariance / varianceAt,
    quality: covariance ** 2 / (varianceAt * varianceBytes),
  };
}
