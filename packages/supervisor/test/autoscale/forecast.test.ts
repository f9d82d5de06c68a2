import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { erlangC, serversForWait } from "../../src/autoscale/forecast/erlang-c.ts";
import { DampedHolt } from "../../src/autoscale/forecast/holt.ts";

describe("Erlang C", () => {
  test.each([
    [1, 0.5, 0.5],
    [2, 1, 1 / 3],
    [10, 8, 0.409_2],
    [100, 90, 0.216_9],
  ])("%i servers under %f Erlangs make a share of %f wait", (servers, load, expected) => {
    expect(erlangC(servers, load)).toBeCloseTo(expected, 2);
  });

  test("never fewer servers than Little's law asks for, and no more than are needed", () => {
    const rates = fc.double({ min: 0.1, max: 200, noNaN: true });
    const services = fc.double({ min: 0.01, max: 5, noNaN: true });
    fc.assert(
      fc.property(
        rates,
        services,
        fc.double({ min: 0, max: 30, noNaN: true }),
        (rate, service, wait) => {
          const servers = serversForWait(rate, service, wait, 0.05);
          expect(servers).toBeGreaterThan(rate * service);
          const late = (count: number): number =>
            erlangC(count, rate * service) * Math.exp((-(count - rate * service) * wait) / service);
          expect(late(servers)).toBeLessThanOrEqual(0.05);
          expect(servers - 1 <= rate * service || late(servers - 1) > 0.05).toBe(true);
        },
      ),
    );
  });

  test("no arrivals need no server", () => {
    expect(serversForWait(0, 1, 1, 0.05)).toBe(0);
  });
});

describe("damped Holt", () => {
  const options = { levelSeconds: 4, trendSeconds: 8, dampingPerSecond: 0.9 };

  test("a constant is forecast as itself, however uneven the samples", () => {
    const holt = new DampedHolt(options);
    for (const gap of [1, 5, 0.5, 20, 2, 2]) holt.observe(7, gap);
    expect(holt.forecast(30)).toBeCloseTo(7);
  });

  test("a ramp is seen coming, and not taken to go on for ever", () => {
    const holt = new DampedHolt(options);
    for (let second = 0; second <= 60; second++) holt.observe(second, 1);
    expect(holt.forecast(5)).toBeGreaterThan(60);
    expect(holt.forecast(1_000)).toBeLessThan(75);
  });

  test("a forecast is never negative", () => {
    const holt = new DampedHolt(options);
    for (let value = 100; value >= 0; value -= 10) holt.observe(value, 1);
    expect(holt.forecast(100)).toBeGreaterThanOrEqual(0);
  });
});
