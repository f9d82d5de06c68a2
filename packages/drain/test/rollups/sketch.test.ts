import fc from "fast-check";
import { expect, test } from "vitest";
import { SKETCH_ERROR, sketchBin, sketchText } from "../../src/rollups/sketch.ts";
import { valueOfBin } from "./reference-sketch.ts";

const value = fc.oneof(
  fc.integer({ min: 1, max: 10_000 }),
  fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
);

test("a bin says what its values are within 2 %", () => {
  fc.assert(
    fc.property(value, (one) => {
      const relativeError = Math.abs(valueOfBin(sketchBin(one)) - one) / one;
      expect(relativeError).toBeLessThanOrEqual(SKETCH_ERROR + 1e-9);
    }),
    { numRuns: 2_000 },
  );
});

test("bins go up with their values", () => {
  fc.assert(
    fc.property(value, value, (one, other) => {
      expect(sketchBin(Math.min(one, other))).toBeLessThanOrEqual(sketchBin(Math.max(one, other)));
    }),
  );
});

test("the lowest bins are for what is not above 0 and for 1, the highest for the largest number", () => {
  expect([-5, 0, 1, Number.MAX_SAFE_INTEGER].map(sketchBin)).toEqual([0, 0, 1, 920]);
});

test("a sketch is an array from its lowest to its highest bin", () => {
  expect(
    sketchText(
      new Map([
        [252, 1],
        [250, 3],
      ]),
    ),
  ).toBe("[250:252]={3,NULL,1}");
  expect(sketchText(new Map([[0, 7]]))).toBe("[0:0]={7}");
  expect(sketchText(new Map())).toBeNull();
});
