/** Requests of one variant and how many of them failed. */
export interface ErrorCounts {
  total: number;
  errors: number;
}

// Error rates above that of the stable variant that the test weighs against no difference.
const WORSE_BY = 0.02;
const FALSE_ALARM_RATE = 0.02;
const MISS_RATE = 0.01;
const MIN_REQUESTS = 20;

/**
 * Compares error rates by a sequential probability ratio test (Wald): after each look the evidence
 * for "worse by two points" is weighed against "no worse", and only strong evidence decides, so that
 * the number of looks doesn't matter.
 */
export function judgeErrorRates(
  canary: ErrorCounts,
  stable: ErrorCounts,
): { verdict: "abort" | "continue"; reason: string } {
  if (canary.total < MIN_REQUESTS)
    return { verdict: "continue", reason: "too few requests to tell" };
  // A shrunken estimate: a stable variant without a single error is not proof of a rate of zero.
  const normal = (stable.errors + 0.5) / (stable.total + 50);
  const bad = Math.min(0.99, normal + WORSE_BY);
  const successes = canary.total - canary.errors;
  const evidence =
    canary.errors * Math.log(bad / normal) + successes * Math.log((1 - bad) / (1 - normal));
  const threshold = Math.log((1 - MISS_RATE) / FALSE_ALARM_RATE);
  const rate = (canary.errors / canary.total) * 100;
  const reason = `canary error rate ${rate.toFixed(2)} %, stable ${(normal * 100).toFixed(2)} %`;
  return { verdict: evidence >= threshold ? "abort" : "continue", reason };
}
