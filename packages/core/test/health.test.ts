import { expect, test } from "vitest";
import { checkHealth, checkReadiness } from "../src/health.ts";
import type { Component, ComponentState, Health } from "../src/component.ts";

function part(name: string, state: ComponentState, health: () => Health): Component {
  return {
    name,
    state,
    health,
    start: () => Promise.resolve(),
    close: () => Promise.resolve(),
    closed: Promise.resolve(undefined),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
const well = () => ({ healthy: true });
const sick = () => ({ healthy: false, reason: "disk full" });

test("the whole is healthy when each part is, and the report lists them", () => {
  expect(checkHealth([])).toEqual({ healthy: true, components: [] });
  expect(checkHealth([part("a", "running", well), part("b", "idle", well)])).toEqual({
    healthy: true,
    components: [
      { name: "a", state: "running", healthy: true },
      { name: "b", state: "idle", healthy: true },
    ],
  });
});

test("one sick part makes the whole sick, with its reason", () => {
  const report = checkHealth([part("a", "running", well), part("b", "running", sick)]);
  expect(report).toMatchObject({ healthy: false, reason: "b: disk full" });
});

test("a part that cannot even tell is sick, and the others are still asked", () => {
  const broken = part("broken", "running", () => {
    throw new Error("no handle");
  });
  const report = checkHealth([broken, part("b", "running", sick)]);
  expect(report.reason).toBe("broken: no handle; b: disk full");
});

test("ready means running and healthy", () => {
  expect(checkReadiness([part("a", "running", well)]).healthy).toBe(true);
  expect(checkReadiness([part("a", "running", sick)]).healthy).toBe(false);
  for (const state of ["idle", "starting", "draining", "closed", "failed"] as const) {
    expect(checkReadiness([part("a", state, well)])).toMatchObject({
      healthy: false,
      reason: `a is ${state}`,
    });
  }
});
