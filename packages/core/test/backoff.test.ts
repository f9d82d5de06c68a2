import fc from "fast-check";
import { expect, test } from "vitest";
import { Backoff } from "../src/backoff.ts";

test("waits double from the base up to the cap", () => {
  const backoff = new Backoff({ baseMs: 100, capMs: 1_000, random: () => 1 });
  const delays = Array.from({ length: 6 }, () => backoff.nextDelayMs());
  expect(delays).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  expect(backoff.attempt).toBe(6);
});

test("after a success it starts over", () => {
  const backoff = new Backoff({ baseMs: 100, random: () => 0 });
  backoff.nextDelayMs();
  backoff.nextDelayMs();
  backoff.reset();
  expect(backoff.attempt).toBe(0);
  expect(backoff.nextDelayMs()).toBe(50);
});

test("every wait lies between half and all of its bound, however many tries", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.integer({ min: 1, max: 100_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (baseMs, capMs, random) => {
        const backoff = new Backoff({ baseMs, capMs, random: () => random });
        for (let attempt = 0; attempt < 1_100; attempt++) {
          const bound = Math.min(capMs, baseMs * 2 ** attempt);
          const delay = backoff.nextDelayMs();
          expect(delay).toBeGreaterThanOrEqual(bound / 2);
          expect(delay).toBeLessThanOrEqual(bound);
        }
      },
    ),
    { numRuns: 5 },
  );
});
