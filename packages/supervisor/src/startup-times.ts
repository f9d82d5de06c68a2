const KEPT = 20;
const DEFAULT_STARTUP_MS = 1_000;

/** How long instances of each process take from spawn to ready. */
export class StartupTimes {
  readonly #samples = new Map<string, number[]>();

  add(process: string, startupMs: number): void {
    const samples = this.#samples.get(process) ?? [];
    samples.push(startupMs);
    if (samples.length > KEPT) samples.shift();
    this.#samples.set(process, samples);
  }

  /** Median in milliseconds, 1,000 before the first. */
  medianMs(process: string): number {
    const sorted = (this.#samples.get(process) ?? []).toSorted((left, right) => left - right);
    return sorted[Math.floor(sorted.length / 2)] ?? DEFAULT_STARTUP_MS;
  }
}
