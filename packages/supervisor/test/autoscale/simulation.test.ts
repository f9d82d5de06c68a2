import { describe, expect, test } from "vitest";
import { LOAD_SHAPES, type LoadShape } from "./simulation/load-shapes.ts";
import { constantMarginPolicy, forecastPolicy } from "./simulation/policies.ts";
import { type Outcome, type Policy, simulate, type World } from "./simulation/simulator.ts";

const EASY: World = { slaSeconds: 30, startSeconds: 2, seed: undefined };
const HARD = { slaSeconds: 10, startSeconds: 8 };
const SEEDS = Array.from({ length: 20 }, (_, index) => index + 1);
const DOWN_SECONDS = 5;

function ours(shape: LoadShape, world: World): Outcome {
  return simulate(shape, forecastPolicy(world, DOWN_SECONDS), world);
}

function shapeOf(name: string): LoadShape {
  const shape = LOAD_SHAPES[name];
  if (shape === undefined) throw new Error(`no load shape ${name}`);
  return shape;
}

/** Sums over the shapes, means over the seeds; cost is the mean over all. */
function total(makePolicy: (world: World) => Policy, worlds: readonly World[]) {
  let breachSeconds = 0;
  let cost = 0;
  let scaleEvents = 0;
  const shapes = Object.values(LOAD_SHAPES);
  for (const shape of shapes) {
    for (const world of worlds) {
      const outcome = simulate(shape, makePolicy(world), world);
      breachSeconds += outcome.breachSeconds / worlds.length;
      scaleEvents += outcome.scaleEvents / worlds.length;
      cost += outcome.cost / worlds.length / shapes.length;
    }
  }
  return { breachSeconds, cost, scaleEvents };
}

describe("twelve load shapes, jobs may wait 30 s, instances start in 2 s", () => {
  test.each(Object.keys(LOAD_SHAPES))("%s: no job waits too long", (name) => {
    expect(ours(shapeOf(name), EASY).breachSeconds).toBe(0);
  });

  test("a steady load needs hardly a change", () => {
    expect(ours(shapeOf("steady"), EASY).scaleEvents).toBeLessThan(20);
    expect(ours(shapeOf("bursty"), EASY).scaleEvents).toBeLessThan(50);
  });

  test("a spike is answered within 15 seconds", () => {
    expect(ours(shapeOf("spike"), EASY).firstRise(61)).toBeLessThanOrEqual(76);
  });
});

describe("twelve load shapes with Poisson arrivals, jobs may wait 10 s, instances start in 8 s", () => {
  const worlds = SEEDS.map((seed): World => ({ ...HARD, seed }));
  const forecast = total((world) => forecastPolicy(world, DOWN_SECONDS), worlds);

  test("at most 60 of 3600 seconds in breach, at most 1.4 times the ideal cost, at most 250 changes", () => {
    expect(forecast.breachSeconds).toBeLessThanOrEqual(60);
    expect(forecast.cost).toBeLessThanOrEqual(1.4);
    expect(forecast.scaleEvents).toBeLessThanOrEqual(250);
  });

  test("fewer changes and less over-provision than a constant margin on the same arrivals", () => {
    const margin = total(constantMarginPolicy, worlds);
    expect(forecast.scaleEvents).toBeLessThan(margin.scaleEvents);
    expect(forecast.cost).toBeLessThan(margin.cost);
  });
});
