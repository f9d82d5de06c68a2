import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decide,
  type DrainPolicyOptions,
  type DrainPolicyState,
  type DrainSample,
  startState,
} from "../../src/adaptive/drain-policy.ts";

const options: DrainPolicyOptions = { maxConcurrency: 8, maxBatchRows: 5_000, polite: false };

/** A server that lands so many rows a second at each concurrency, in half-second samples. */
function run(
  state: DrainPolicyState,
  samples: number,
  rateAt: (concurrency: number) => number,
  policy = options,
): DrainPolicyState {
  let current = state;
  for (let index = 0; index < samples; index++) {
    current = decide(current, busy(current, rateAt(current.concurrency)), policy);
  }
  return current;
}

function busy({ concurrency, batchRows }: DrainPolicyState, rate: number): DrainSample {
  const rows = rate / 2;
  return {
    seconds: 0.5,
    rows,
    batches: rows / batchRows,
    landingSeconds: concurrency * 0.5,
    isSaturated: true,
    troubles: 0,
  };
}

const troubled: DrainSample = {
  seconds: 0.5,
  rows: 0,
  batches: 0,
  landingSeconds: 0,
  isSaturated: true,
  troubles: 1,
};

describe("the drain policy", () => {
  it("adds workers while that raises the throughput, and stops where it does not", () => {
    const rateAt = (concurrency: number) => 20_000 * Math.min(concurrency, 4);
    const state = run(startState(options), 60, rateAt);
    expect(state.concurrency).toBeGreaterThanOrEqual(4);
    expect(state.concurrency).toBeLessThanOrEqual(5);
    expect(rateAt(state.concurrency)).toBe(80_000);
  });

  it("is not misled by a start that is slow until code is compiled", () => {
    const rateAt = (concurrency: number) => [0, 45_000, 85_000, 75_000, 60_000][concurrency] ?? 0;
    const four = { ...options, maxConcurrency: 4 };
    let landed = 0;
    let state = startState(four);
    for (let index = 0; index < 60; index++) {
      const warmth = Math.min(1, 0.4 + index * 0.15);
      const sample = busy(state, rateAt(state.concurrency) * warmth);
      landed += sample.rows;
      state = decide(state, sample, four);
    }
    expect(state.concurrency).toBe(2);
    // Of the best it could be, warmed up from the start.
    expect(landed / (30 * rateAt(2))).toBeGreaterThan(0.93);
  });

  it("takes an increase that costs back before its time, and one that pays is not judged by its start", () => {
    const three = { ...options, maxConcurrency: 3 };
    const settled = run(startState(three), 8, () => 50_000, three);
    expect(settled).toMatchObject({ concurrency: 3, reason: "probe" });
    expect(run(settled, 3, () => 30_000, three)).toMatchObject({
      concurrency: 2,
      reason: "no-gain",
    });
    // The worker that was added connects first.
    const late = run(
      run(settled, 1, () => 40_000, three),
      4,
      () => 60_000,
      three,
    );
    expect(late).toMatchObject({ concurrency: 3, reason: "gain" });
  });

  it("halves concurrency and batches at trouble, and comes back once it is over", () => {
    const rateAt = (concurrency: number) => 20_000 * concurrency;
    const before = run(startState(options), 80, rateAt);
    expect(before.concurrency).toBe(8);
    const after = decide(before, troubled, options);
    expect(after).toMatchObject({ concurrency: 4, batchRows: 2_500, reason: "trouble" });
    expect(decide(after, troubled, options)).toMatchObject({ concurrency: 2, batchRows: 1_250 });
    expect(run(after, 80, rateAt)).toMatchObject({ concurrency: 8, batchRows: 5_000 });
  });

  it("takes a quarter back when rows take far longer than the norm", () => {
    const before = run(startState(options), 80, (concurrency) => 20_000 * concurrency);
    const slow = decide(before, busy(before, 30_000), options);
    expect(slow).toMatchObject({ concurrency: 6, reason: "latency" });
  });

  it("takes a slower server for the norm after some minutes", () => {
    const before = run(startState(options), 80, (concurrency) => 20_000 * concurrency);
    const slowed = run(before, 10, (concurrency) => 2_000 * concurrency);
    expect(slowed.concurrency).toBeLessThan(8);
    expect(run(slowed, 1_000, (concurrency) => 2_000 * concurrency).concurrency).toBe(8);
  });

  it("does not wait for a slowness that stays when a single worker lands, unless it is polite", () => {
    const rateAt = (concurrency: number) => 20_000 * concurrency;
    const slowRateAt = (concurrency: number) => 2_000 * concurrency;
    const pair = { ...options, maxConcurrency: 2 };
    expect(run(run(startState(pair), 20, rateAt, pair), 20, slowRateAt, pair).concurrency).toBe(2);
    const polite = { ...options, maxConcurrency: 4, polite: true };
    const held = run(run(startState(polite), 20, rateAt, polite), 20, slowRateAt, polite);
    expect(held.concurrency).toBe(1);
  });

  it("is polite by taking half at most and giving way at half the rise in latency", () => {
    const polite = { ...options, polite: true };
    const rateAt = (concurrency: number) => 20_000 * concurrency;
    const before = run(startState(polite), 80, rateAt, polite);
    expect(before.concurrency).toBe(4);
    const crowded = busy(before, 20_000 * 4 * 0.6);
    expect(decide(before, crowded, polite).reason).toBe("latency");
    expect(decide({ ...before, concurrency: 4 }, crowded, options).reason).not.toBe("latency");
  });

  it("starts polite with one worker, which rests as long as it works, longer while rows are slow", () => {
    const polite = { ...options, polite: true };
    const start = startState(polite);
    expect(start).toMatchObject({ concurrency: 1, restShare: 1 });
    const rateAt = (concurrency: number) => 20_000 * concurrency;
    const calm = run(start, 20, rateAt, polite);
    expect(calm.restShare).toBe(1);
    const slow = run(calm, 4, (concurrency) => 5_000 * concurrency, polite);
    expect(slow.restShare).toBe(4);
    expect(run(slow, 20, rateAt, polite).restShare).toBe(1);
  });

  it("never rests unless it is polite", () => {
    const before = run(startState(options), 80, (concurrency) => 20_000 * concurrency);
    expect(before.restShare).toBe(0);
    expect(decide(before, busy(before, 30_000), options).restShare).toBe(0);
    expect(decide(before, troubled, options).restShare).toBe(0);
  });

  it("shrinks batches whose transactions take too long", () => {
    const state = run(startState(options), 30, () => 1_000);
    expect(state.batchRows).toBeLessThan(5_000);
    expect(state.batchRows).toBeGreaterThanOrEqual(100);
  });

  it("learns nothing from a pool that waits for rows", () => {
    const start = startState(options);
    const idle = { ...busy(start, 100), isSaturated: false };
    expect(decide(start, idle, options)).toEqual(start);
  });

  it("never leaves its bounds, whatever is measured", () => {
    const anySample: fc.Arbitrary<DrainSample> = fc.record({
      seconds: fc.double({ min: 0.001, max: 100, noNaN: true }),
      rows: fc.nat(1_000_000),
      batches: fc.integer({ min: 1, max: 1_000 }),
      landingSeconds: fc.double({ min: 0, max: 1_000, noNaN: true }),
      isSaturated: fc.boolean(),
      troubles: fc.nat(3),
    });
    const anyOptions = fc.record({
      maxConcurrency: fc.integer({ min: 1, max: 64 }),
      maxBatchRows: fc.integer({ min: 1, max: 100_000 }),
      polite: fc.boolean(),
    });
    fc.assert(
      fc.property(anyOptions, fc.array(anySample, { maxLength: 200 }), (policy, samples) => {
        let state = startState(policy);
        const bound = policy.polite
          ? Math.max(1, Math.floor(policy.maxConcurrency / 2))
          : policy.maxConcurrency;
        for (const sample of samples) {
          const before = state;
          state = decide(state, sample, policy);
          expect(Number.isInteger(state.concurrency)).toBe(true);
          expect(state.concurrency).toBeGreaterThanOrEqual(1);
          expect(state.concurrency).toBeLessThanOrEqual(bound);
          expect(Number.isInteger(state.batchRows)).toBe(true);
          expect(state.batchRows).toBeGreaterThanOrEqual(1);
          expect(state.batchRows).toBeLessThanOrEqual(policy.maxBatchRows);
          if (sample.troubles === 0) continue;
          expect(state.concurrency).toBeLessThanOrEqual(Math.max(1, before.concurrency / 2));
        }
      }),
    );
  });

  it("recovers from anything within a bounded time when more workers bring more", () => {
    const sample = fc.constantFrom(troubled, {
      ...troubled,
      troubles: 0,
      rows: 10,
      batches: 1,
      landingSeconds: 50,
    });
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 50 }), (bad) => {
        let state = startState(options);
        for (const one of bad) state = decide(state, one, options);
        expect(run(state, 2_000, (concurrency) => 20_000 * concurrency).concurrency).toBe(8);
      }),
    );
  });
});
