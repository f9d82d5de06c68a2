/** How far a percentile may be from the exact one, relative to it. */
export const SKETCH_ERROR = 0.02;

/**
 * Each bin ends this much higher than the one before. Stored sketches are made of it: another value
 * would need another column.
 */
export const SKETCH_GAMMA = (1 + SKETCH_ERROR) / (1 - SKETCH_ERROR);

const LOG_GAMMA = Math.log(SKETCH_GAMMA);

/** How many values fell into each bin. */
export type SketchBins = Map<number, number>;

/**
 * The bin of a whole number: 0 for what is not above 0, else the `n` for which the number is above
 * `SKETCH_GAMMA ** (n - 2)` and not above `SKETCH_GAMMA ** (n - 1)`. Safe integers need 921 bins.
 *
 * @see https://www.vldb.org/pvldb/vol12/p2195-masson.pdf (DDSketch, section 2.1)
 */
export function sketchBin(value: number): number {
  return value <= 0 ? 0 : 1 + Math.ceil(Math.log(value) / LOG_GAMMA);
}

/**
 * A sketch as a PostgreSQL array whose subscripts are the bins: `[250:252]={3,NULL,1}`.
 *
 * An empty bin is NULL, which takes one bit, and neither end is empty: two sketches of the same values
 * are the same array.
 */
export function sketchText(bins: SketchBins): string | null {
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  for (const bin of bins.keys()) {
    if (bin < lowest) lowest = bin;
    if (bin > highest) highest = bin;
  }
  if (highest < lowest) return null;
  let counts = String(bins.get(lowest));
  for (let bin = lowest + 1; bin <= highest; bin++) counts += `,${bins.get(bin) ?? "NULL"}`;
  return `[${lowest}:${highest}]={${counts}}`;
}
