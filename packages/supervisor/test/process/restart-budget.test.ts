import { expect, test } from "vitest";
import { RestartBudget } from "../../src/process/restart-budget.ts";

test("a burst is free, what is beyond it waits for its share", () => {
  const budget = new RestartBudget({ restarts: 2, windowMs: 1_000 });
  expect([budget.take(0), budget.take(0), budget.take(0), budget.take(0)]).toEqual([
    0, 0, 500, 1_000,
  ]);
});

test("unused restarts don't add up beyond the budget", () => {
  const budget = new RestartBudget({ restarts: 2, windowMs: 1_000 });
  budget.take(0);
  expect([budget.take(1e9), budget.take(1e9), budget.take(1e9)]).toEqual([0, 0, 500]);
});
