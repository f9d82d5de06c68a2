/** From a depth above `above` on, so many instances; one entry without `above` is for the rest. */
export interface Step {
  /** Waiting jobs. @default none: for whatever is below the others */
  above?: number | undefined;
  /** Instances wanted. */
  instances: number;
}

/** A staircase: instances by the highest step that a depth is above. */
export type Steps = (depth: number) => number;

/**
 * Turns tiers into a function, whatever their order.
 *
 * @example
 * ```ts
 * import { steps } from "@millrace/supervisor";
 *
 * const tiers = steps([
 *   { above: 1000, instances: 20 },
 *   { above: 500, instances: 10 },
 *   { above: 100, instances: 5 },
 *   { instances: 2 },
 * ]);
 * console.log(tiers(750)); // 10
 * ```
 */
export function steps(tiers: readonly Step[]): Steps {
  const sorted = tiers.toSorted((left, right) => threshold(right) - threshold(left));
  return (depth) => sorted.find((tier) => depth > threshold(tier))?.instances ?? 0;
}

function threshold({ above }: Step): number {
  return above ?? Number.NEGATIVE_INFINITY;
}
