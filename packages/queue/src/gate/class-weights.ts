import type { ResolvedQueueOptions } from "../queue-options.ts";

/** Weights of the classes by the priorities that name them; 0 everywhere else is strict order. */
export function classWeightsOf(
  weights: ResolvedQueueOptions["classWeights"],
): Record<1 | 5 | 10, number> {
  if (weights === "strict") return { 1: 1, 5: 0, 10: 0 };
  return { 1: weights.urgent, 5: weights.normal, 10: weights.batch };
}
