import type { MetricSample } from "@millrace/core";

/** Counts by labels, to be published. */
export class LabelledCounts {
  readonly #samples = new Map<string, MetricSample>();

  add(labels: Record<string, string>): void {
    const key = JSON.stringify(labels);
    const value = this.#samples.get(key)?.value ?? 0;
    this.#samples.set(key, { labels, value: value + 1 });
  }

  samples(): Iterable<MetricSample> {
    return this.#samples.values();
  }
}
