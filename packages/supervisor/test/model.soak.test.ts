import fc from "fast-check";
import { expect, test } from "vitest";
import { beginWalk, livePids, modelSteps } from "./model/walk.ts";

const STEPS = 10_000;
const BUDGET_MS = 120_000;

test("a walk of thousands of operations, kills and exits on one supervisor never leaves the model", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const mark = `${process.pid}-long`;
  const { model, real } = await beginWalk(mark);
  const startedAt = performance.now();
  const taken: string[] = [];
  for (const step of fc.sample(fc.oneof(...modelSteps), { numRuns: STEPS, seed })) {
    if (performance.now() - startedAt > BUDGET_MS) break;
    if (!step.check(model)) continue;
    taken.push(step.toString());
    try {
      await step.run(model, real);
    } catch (error) {
      const last = taken.slice(-10).join(", ");
      throw new Error(`step ${taken.length} of seed ${seed} failed, after ${last}`, {
        cause: error,
      });
    }
  }
  await real.supervisor.close();
  expect(livePids(mark)).toEqual([]);
  console.log(`${taken.length} steps on real processes, seed ${seed}`);
});
