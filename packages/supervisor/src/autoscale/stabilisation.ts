/** What the inputs wanted at one moment. */
export interface Recommendation {
  atMs: number;
  desired: number;
}

/**
 * The most careful of the recommendations of a window: the highest of the last ones before going
 * down, the lowest before going up. Noise then moves nothing until it has lasted a window.
 */
export function stabilise(
  recommendations: readonly Recommendation[],
  current: number,
  desired: number,
  nowMs: number,
  rules: { up: { stabilizationMs: number }; down: { stabilizationMs: number } },
): number {
  if (desired === current) return desired;
  const windowMs = desired < current ? rules.down.stabilizationMs : rules.up.stabilizationMs;
  const recent = recommendations
    .filter(({ atMs }) => nowMs - atMs <= windowMs)
    .map((recommendation) => recommendation.desired);
  if (desired < current) return Math.min(current, Math.max(desired, ...recent));
  return Math.max(current, Math.min(desired, ...recent));
}
