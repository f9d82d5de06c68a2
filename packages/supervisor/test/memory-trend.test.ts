import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MemoryTrend } from "../src/memory-trend.ts";

function trendOf(bytes: readonly number[]): MemoryTrend {
  const trend = new MemoryTrend();
  for (const [index, value] of bytes.entries()) trend.add(index * 1_000, value);
  return trend;
}

describe("MemoryTrend", () => {
  test("tells when a steady leak reaches the limit", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.integer({ min: 10, max: 200 }),
        fc.integer({ min: 1, max: 1_000 }),
        (slope, samples, seconds) => {
          const bytes = Array.from({ length: samples }, (_, index) => 1e8 + slope * index);
          const limit = (bytes.at(-1) ?? 0) + slope * seconds;
          const inMs = trendOf(bytes).crossesInMs(limit) ?? 0;
          expect(Math.abs(inMs - seconds * 1_000)).toBeLessThan(seconds * 10 + 1);
        },
      ),
    );
  });

  test.each([
    ["too few samples", [1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ["memory that stays", Array.from({ length: 60 }, () => 100)],
    ["memory that falls", Array.from({ length: 60 }, (_, index) => 1_000 - index)],
    [
      "the sawtooth of a garbage collector",
      Array.from({ length: 60 }, (_, index) => 100 + (index % 12) * 10),
    ],
    ["one jump", Array.from({ length: 60 }, (_, index) => (index < 50 ? 100 : 200))],
  ])("sees no leak in %s", (_, bytes) => {
    expect(trendOf(bytes).crossesInMs(10_000)).toBeUndefined();
  });
});
