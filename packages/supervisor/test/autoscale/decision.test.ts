import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decide,
  type DecisionHistory,
  type DecisionRules,
  EMPTY_HISTORY,
  type InputOpinion,
} from "../../src/autoscale/decision.ts";
import type { AutoscaleReading } from "../../src/options/autoscale-options.ts";

const rules: DecisionRules = {
  min: 0,
  max: 20,
  up: {
    stabilizationMs: 0,
    tolerance: 0.1,
    policies: [
      { type: "percent", value: 100, periodMs: 5_000 },
      { type: "instances", value: 4, periodMs: 5_000 },
    ],
  },
  down: {
    stabilizationMs: 60_000,
    tolerance: 0.1,
    policies: [{ type: "percent", value: 100, periodMs: 15_000 }],
  },
  cooldownMs: 60_000,
  activationSamples: 1,
  fallback: undefined,
};

function says(reading: Partial<AutoscaleReading> | undefined, input = "queue"): InputOpinion {
  return { input, reading: reading === undefined ? undefined : { reason: "said", ...reading } };
}

/** Decides every two seconds and carries it out. */
function run(
  readings: ReadonlyArray<InputOpinion[]>,
  current: number,
  withRules: DecisionRules = rules,
): { counts: number[]; limits: string[] } {
  let history: DecisionHistory = EMPTY_HISTORY;
  const counts: number[] = [];
  const limits: string[] = [];
  let count = current;
  readings.forEach((inputs, index) => {
    const decided = decide(inputs, count, index * 2_000, withRules, history);
    ({ history } = decided);
    count = decided.verdict.desired;
    counts.push(count);
    limits.push(decided.verdict.limit);
  });
  return { counts, limits };
}

const times = (count: number, inputs: InputOpinion[]): InputOpinion[][] =>
  Array.from({ length: count }, () => inputs);

describe("a decision", () => {
  test("takes the largest opinion", () => {
    const inputs = [
      says({ desired: 3 }, "a"),
      says({ desired: 5 }, "b"),
      says({ ratio: 0.5 }, "c"),
    ];
    const { verdict } = decide(inputs, 2, 0, rules, EMPTY_HISTORY);
    expect(verdict).toMatchObject({ desired: 5, recommended: 5, limit: "none", reason: "b: said" });
    expect(verdict.opinions.map(({ desired }) => desired)).toEqual([3, 5, 1]);
  });

  test.each([
    [1.05, 10],
    [0.95, 10],
    [1.1, 10],
    [1.2, 12],
  ])("a ratio of %f at 10 instances wants %i", (ratio, desired) => {
    expect(run([[says({ ratio })]], 10).counts).toEqual([desired]);
  });

  test("goes up by the policy that allows most, period by period", () => {
    const { counts, limits } = run(times(8, [says({ desired: 100 })]), 1, { ...rules, max: 100 });
    expect(counts[0]).toBe(5);
    expect(counts[1]).toBe(5);
    expect(counts[3]).toBe(10);
    expect(limits[1]).toBe("rate");
  });

  test("waits a whole window before it goes down, and noise starts the window anew", () => {
    const low = [says({ desired: 2 })];
    const { counts } = run(
      [[says({ desired: 10 })], ...times(29, low), [says({ desired: 8 })], ...times(40, low)],
      10,
    );
    expect(counts.slice(0, 30)).toEqual(Array.from({ length: 30 }, () => 10));
    expect(counts[32]).toBe(8);
    expect(counts.at(-1)).toBe(2);
  });

  test("follows tiers to the last instance", () => {
    const { counts } = run([[says({ desired: 20, exact: true })]], 19);
    expect(counts).toEqual([20]);
  });

  test("the last instance goes only after the cooldown, and comes back at the first job", () => {
    const idle = [says({ desired: 0, active: false })];
    const busy = [says({ desired: 1, active: true })];
    const { counts } = run([busy, ...times(60, idle), busy], 3, {
      ...rules,
      down: { ...rules.down, stabilizationMs: 0 },
    });
    expect(counts.slice(1, 30).every((count) => count === 1)).toBe(true);
    expect(counts[60]).toBe(0);
    expect(counts.at(-1)).toBe(1);
  });

  test("one stray reading doesn't wake it when two in a row are asked for", () => {
    const idle = [says({ desired: 0, active: false })];
    const busy = [says({ desired: 2, active: true })];
    const { counts } = run([busy, idle, busy, busy], 0, { ...rules, activationSamples: 2 });
    expect(counts).toEqual([0, 0, 0, 2]);
  });

  test("bounds of a schedule hold for every other input, within those of the process", () => {
    expect(
      run([[says({ min: 10, max: 12 }, "schedule"), says({ desired: 1 })]], 10).counts,
    ).toEqual([10]);
    expect(run([[says({ min: 50 }, "schedule")]], 10).counts).toEqual([20]);
    expect(run([[says({ max: 3 }, "schedule"), says({ desired: 9 })]], 3).counts).toEqual([3]);
  });

  test("falls back to a number once every input has failed so often", () => {
    const { counts, limits } = run(times(4, [says(undefined)]), 1, {
      ...rules,
      fallback: { afterFailures: 3, instances: 4 },
    });
    expect(counts).toEqual([1, 1, 4, 4]);
    expect(limits[2]).toBe("fallback");
  });
});

const opinion = fc.oneof(
  fc.constant(says(undefined)),
  fc.nat(60).map((desired) => says({ desired })),
  fc.double({ min: 0, max: 5, noNaN: true }).map((ratio) => says({ ratio })),
  fc.tuple(fc.nat(60), fc.boolean()).map(([desired, active]) => says({ desired, active })),
);
const histories = fc.array(fc.array(opinion, { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 60,
});

describe("whatever the inputs say", () => {
  test("the count is never above max nor below min", () => {
    fc.assert(
      fc.property(histories, fc.nat(5), fc.nat(15), (readings, min, extra) => {
        const bounds = { ...rules, min, max: min + extra };
        for (const count of run(readings, min, bounds).counts) {
          expect(count).toBeGreaterThanOrEqual(bounds.min);
          expect(count).toBeLessThanOrEqual(bounds.max);
        }
      }),
    );
  });

  test("while a metric is missing it never goes down", () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: 1, max: 20 }), (readings, start) => {
        const { counts } = run(readings, start);
        let before = start;
        for (const [index, count] of counts.entries()) {
          const missing = readings[index]?.some(({ reading }) => reading === undefined) ?? false;
          expect(count).toBeGreaterThanOrEqual(missing ? before : 0);
          before = count;
        }
      }),
    );
  });

  test("inside the tolerance nothing moves", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.91, max: 1.09, noNaN: true }), {
          minLength: 1,
          maxLength: 100,
        }),
        fc.integer({ min: 1, max: 20 }),
        (ratios, start) => {
          const { counts } = run(
            ratios.map((ratio) => [says({ ratio })]),
            start,
          );
          expect(new Set(counts)).toEqual(new Set([start]));
        },
      ),
    );
  });

  test("the same history gives the same decision", () => {
    fc.assert(
      fc.property(histories, (readings) => {
        expect(run(readings, 3)).toEqual(run(readings, 3));
      }),
    );
  });
});
