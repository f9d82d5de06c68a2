import { expect, test } from "vitest";
import { canMove, INSTANCE_STATES, isAlive, isEnding } from "../../src/process/instance-state.ts";

test("from every state an instance can be stopped, in as many steps as it takes", () => {
  for (const state of INSTANCE_STATES) {
    const seen = new Set([state]);
    for (const from of seen) {
      for (const to of INSTANCE_STATES) if (canMove(from, to) && to !== "starting") seen.add(to);
    }
    expect(seen).toContain("stopped");
  }
});

test("nothing starts serving without having been started", () => {
  const before = INSTANCE_STATES.filter((state) => canMove(state, "ready"));
  expect(before).toEqual(["starting", "unhealthy"]);
});

test("whoever is on the way out still has a process", () => {
  const ending = INSTANCE_STATES.filter(isEnding);
  expect(ending).toEqual(["draining", "stopping"]);
  expect(ending.every(isAlive)).toBe(true);
});
