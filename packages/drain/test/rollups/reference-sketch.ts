import { SKETCH_GAMMA, type SketchBins, sketchBin, sketchText } from "../../src/rollups/sketch.ts";

/** The sketch of values, as the drain writes it. */
export function sketchOf(values: readonly number[]): string | null {
  return sketchText(binsOf(values));
}

/** How many of the values fell into each bin. */
function binsOf(values: readonly number[]): SketchBins {
  const bins: SketchBins = new Map();
  for (const value of values) bins.set(sketchBin(value), (bins.get(sketchBin(value)) ?? 0) + 1);
  return bins;
}

/** What a bin says that its values are. */
export function valueOfBin(bin: number): number {
  return bin === 0 ? 0 : (2 * SKETCH_GAMMA ** (bin - 1)) / (SKETCH_GAMMA + 1);
}

/** As `percentile_disc`: the smallest value that at least this fraction of all does not exceed. */
export function exactPercentile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)] ?? Number.NaN;
}
