import { waitFor } from "@millrace/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createTokenLimits, type TokenLimits } from "../src/limits/token-limits.ts";
import { UsageEstimator } from "../src/limits/usage-estimator.ts";
import { type Fixture, openFixture } from "./support/fixture.ts";

describe("token limits", () => {
  let fixture: Fixture;
  let limits: TokenLimits;

  beforeEach(async () => {
    fixture = await openFixture();
    limits = createTokenLimits({
      connection: fixture.client,
      tenants: fixture.tenants,
      prefix: fixture.prefix,
      accounts: { main: { inputTokensPerMinute: 100_000 }, wide: {} },
      plans: { basic: { outputTokensPerMinute: 6_000 } },
      reservationMs: 300,
    });
    await limits.start();
  });
  afterEach(async () => {
    await limits.close();
    await fixture.close();
  });
  const reserve = (inputTokens: number, outputTokens = 0, tenantId = "acme", account = "main") =>
    limits.reserve({ tenantId, account, estimate: { inputTokens, outputTokens } });

  it("grants exactly what fits of 200 asks at once, and the refused cost nothing", async () => {
    const asks = await Promise.all(
      Array.from({ length: 200 }, (_, index) => reserve(2_000, 0, `t${index}`)),
    );
    expect(asks.filter(({ granted }) => granted)).toHaveLength(50);
    const refused = asks.find(({ granted }) => !granted);
    expect(refused).toMatchObject({ which: "account inputTokensPerMinute" });
    const granted = asks.find((ask) => ask.granted);
    if (granted?.granted) await limits.refund(granted);
    expect((await reserve(2_000)).granted).toBe(true);
  });

  it("takes from the tenant's and the account's buckets or from none", async () => {
    expect((await reserve(1, 6_000)).granted).toBe(true);
    expect(await reserve(50_000, 3_000)).toMatchObject({
      granted: false,
      which: "tenant outputTokensPerMinute",
    });
    // The account was not charged for the refused call, nor is another tenant.
    expect((await reserve(99_000, 1, "other")).granted).toBe(true);
  });

  it("settles by what was used, once, and gives back all of a call that never left", async () => {
    const first = await reserve(0, 5_000);
    if (!first.granted) throw new Error("refused");
    await limits.settle(first, { inputTokens: 0, outputTokens: 1_000 });
    await limits.settle(first, { inputTokens: 0, outputTokens: 0 });
    await limits.refund(first);
    expect((await reserve(0, 5_500)).granted).toBe(false);
    const second = await reserve(0, 5_000);
    if (!second.granted) throw new Error("refused");
    await limits.refund(second);
    expect((await reserve(0, 5_000)).granted).toBe(true);
  });

  it("lets a call that is larger than its bucket pass once the bucket is full", async () => {
    expect((await reserve(0, 20_000)).granted).toBe(true);
    const next = await reserve(0, 1);
    expect(next.granted).toBe(false);
    expect(next.granted ? 0 : next.waitMs).toBeGreaterThan(100_000);
  });

  it("says how long to wait, and grants after that", async () => {
    await reserve(0, 6_000);
    const refused = await reserve(0, 20);
    const waitMs = refused.granted ? 0 : refused.waitMs;
    expect(waitMs).toBeGreaterThan(100);
    expect(waitMs).toBeLessThanOrEqual(200);
    const startedAt = Date.now();
    await waitFor(async () => (await reserve(0, 20)).granted);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(waitMs - 60);
  });

  it("closes an account for everybody and never for a shorter time", async () => {
    await limits.block("wide", 5_000);
    await limits.block("wide", 10);
    const refused = await reserve(1, 1, "acme", "wide");
    expect(refused).toMatchObject({ granted: false, which: "account blocked" });
    expect(refused.granted ? 0 : refused.waitMs).toBeGreaterThan(4_000);
  });

  it("counts a call that was never settled as spent", async () => {
    const lost = await reserve(0, 5_900);
    if (!lost.granted) throw new Error("refused");
    await waitFor(async () => {
      await reserve(1, 0, "other");
      return (await fixture.client.hexists(`{${fixture.prefix}:limits:main}:open`, lost.id)) === 0;
    });
    await limits.refund(lost);
    expect((await reserve(0, 3_000)).granted).toBe(false);
  });

  it("lets one process probe at a time", async () => {
    const leaves = await Promise.all(
      Array.from({ length: 20 }, () => limits.mayProbe("main", 5_000)),
    );
    expect(leaves.filter(Boolean)).toHaveLength(1);
  });
});

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
