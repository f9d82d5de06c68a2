import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TokenRates } from "../../src/auth/token-rates.ts";

const perSecond = (payloadsPerSecond?: number, bytesPerSecond?: number) =>
  new TokenRates([{ name: "shop", payloadsPerSecond, bytesPerSecond }, "other"]);

describe("rates of a token", () => {
  it("lets a second's worth through at once, then what time brings", () => {
    const rates = perSecond(3);
    const taken = [0, 0, 0, 0, 100, 334, 334, 1_000].map((now) => rates.tryTake("shop", 9, now));
    expect(taken).toEqual([true, true, true, false, true, true, false, true]);
  });

  it("a payload larger than a second's worth passes, and the time after it pays", () => {
    const rates = perSecond(undefined, 100);
    expect(rates.tryTake("shop", 1_000, 0)).toBe(true);
    expect(rates.tryTake("shop", 1, 8_999)).toBe(false);
    expect(rates.tryTake("shop", 1, 9_001)).toBe(true);
  });

  it("a token without rates, and one that is not named, is never held back", () => {
    const rates = perSecond();
    for (let count = 0; count < 1_000; count++) {
      expect(rates.tryTake("shop", 1e9, 0) && rates.tryTake("other", 1e9, 0)).toBe(true);
    }
  });

  it("one token's use does not touch another's", () => {
    const rates = new TokenRates([
      { name: "shop", payloadsPerSecond: 1 },
      { name: "blog", payloadsPerSecond: 1 },
    ]);
    expect(rates.tryTake("shop", 1, 0)).toBe(true);
    expect(rates.tryTake("shop", 1, 0)).toBe(false);
    expect(rates.tryTake("blog", 1, 0)).toBe(true);
  });

  it("over any stretch no more passes than the rate, a second's worth and one payload", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.record({ afterMs: fc.nat(400), bytes: fc.nat(200) }), { maxLength: 200 }),
        (bytesPerSecond, sends) => {
          const rates = perSecond(undefined, bytesPerSecond);
          let now = 0;
          let passed = 0;
          for (const { afterMs, bytes } of sends) {
            now += afterMs;
            if (rates.tryTake("shop", bytes, now)) passed += bytes;
          }
          expect(passed).toBeLessThanOrEqual(bytesPerSecond * (now / 1_000 + 1) + 200 + 1e-6);
        },
      ),
    );
  });
});
