import { describe, expect, it } from "vitest";
import { UsageEstimator } from "../../src/limits/usage-estimator.ts";

describe("the estimate of output tokens", () => {
  it("starts with all that was asked for and follows what is used", () => {
    const estimator = new UsageEstimator();
    expect(estimator.outputTokens("k", 1_000)).toBe(1_000);
    for (let index = 0; index < 100; index++) estimator.learn("k", 1_000, 190 + (index % 3) * 10);
    const estimate = estimator.outputTokens("k", 1_000);
    expect(estimate).toBeGreaterThanOrEqual(200);
    expect(estimate).toBeLessThan(260);
    expect(estimator.outputTokens("other", 10)).toBe(10);
  });
});
