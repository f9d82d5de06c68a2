import type { RatePolicy } from "../options/autoscale-options.ts";

/** A change that was decided. */
export interface ScaleChange {
  atMs: number;
  /** Instances added, negative for removed. */
  change: number;
}

/**
 * `desired`, as near as the policies of its direction let it come. Each policy counts from where its
 * period began; the one that allows most decides.
 */
export function rateLimit(
  current: number,
  desired: number,
  nowMs: number,
  rules: { up: { policies: readonly RatePolicy[] }; down: { policies: readonly RatePolicy[] } },
  changes: readonly ScaleChange[],
): number {
  if (desired > current) {
    const limits = rules.up.policies.map((policy) => {
      const start = current - sumSince(changes, nowMs - policy.periodMs, 1);
      return policy.type === "percent"
        ? Math.ceil(start * (1 + policy.value / 100))
        : start + policy.value;
    });
    return limits.length === 0
      ? desired
      : Math.max(current, Math.min(desired, Math.max(...limits)));
  }
  if (desired < current) {
    const limits = rules.down.policies.map((policy) => {
      const start = current + sumSince(changes, nowMs - policy.periodMs, -1);
      return policy.type === "percent"
        ? Math.floor(start * (1 - policy.value / 100))
        : start - policy.value;
    });
    return limits.length === 0
      ? desired
      : Math.min(current, Math.max(desired, Math.min(...limits)));
  }
  return desired;
}

function sumSince(changes: readonly ScaleChange[], sinceMs: number, sign: 1 | -1): number {
  let sum = 0;
  for (const { atMs, change } of changes) {
    if (atMs > sinceMs && Math.sign(change) === sign) sum += Math.abs(change);
  }
  return sum;
}
