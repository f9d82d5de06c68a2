import { configInvalid } from "@millrace/core";
import type { UsageLimits } from "./token-limits-options.ts";

/** What one call uses. */
export interface Usage {
  inputTokens: number;
  outputTokens: number;
}

/** One token bucket and what a call costs of it. */
export interface BucketCost {
  /** Which of the limits it is. */
  dimension: keyof UsageLimits;
  capacity: number;
  refillPerMs: number;
  cost: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 3_600_000;

const PERIODS_MS: Record<keyof UsageLimits, number> = {
  requestsPerMinute: MINUTE_MS,
  inputTokensPerMinute: MINUTE_MS,
  outputTokensPerMinute: MINUTE_MS,
  tokensPerDay: DAY_MS,
};

/**
 * A bucket that took what is no number would refuse everybody for ever.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for a number that cannot be used.
 */
export function assertUsable(owner: string, numbers: Readonly<Record<string, number>>): void {
  const problems = Object.entries(numbers)
    .filter(([, value]) => !(Number.isFinite(value) && value >= 0))
    .map(([path, value]) => ({ path, problem: `expected a number from 0 (got ${value})` }));
  if (problems.length > 0) throw configInvalid(owner, problems);
}

/** What `usage` costs of each dimension. */
export function costOf(dimension: keyof UsageLimits, usage: Usage): number {
  switch (dimension) {
    case "requestsPerMinute":
      return 1;
    case "inputTokensPerMinute":
      return usage.inputTokens;
    case "outputTokensPerMinute":
      return usage.outputTokens;
    case "tokensPerDay":
      return usage.inputTokens + usage.outputTokens;
    default:
      return dimension satisfies never;
  }
}

/** The buckets of a set of limits, in a fixed order. */
export function bucketsOf(limits: UsageLimits, usage: Usage): BucketCost[] {
  const buckets: BucketCost[] = [];
  for (const dimension of Object.keys(PERIODS_MS) as Array<keyof UsageLimits>) {
    const capacity = limits[dimension];
    if (capacity === undefined) continue;
    const refillPerMs = capacity / PERIODS_MS[dimension];
    buckets.push({ dimension, capacity, refillPerMs, cost: costOf(dimension, usage) });
  }
  return buckets;
}
