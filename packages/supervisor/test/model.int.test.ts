import { waitFor } from "@millrace/core/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { startSupervisor } from "./fixtures/start-supervisor.ts";
import { beginWalk, livePids, modelSteps } from "./model/walk.ts";

test("a random walk of operations, kills and exits leaves exactly the processes that the model says", async () => {
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.commands(modelSteps, { maxCommands: 15 }), async (steps) => {
      const mark = `${process.pid}-${round++}`;
      const walk = await beginWalk(mark);
      await fc.asyncModelRun(() => walk, steps);
      await walk.real.supervisor.close();
      expect(livePids(mark)).toEqual([]);
    }),
    { numRuns: 15 },
  );
});

test("two hundred operations at once are done one after the other, never above scale and surge", async () => {
  const mark = `${process.pid}-many`;
  const supervisor = await startSupervisor({
    processes: {
      worker: { command: ["sleep", "1000"], scale: 3, maxScale: 5, env: { MODEL: mark } },
    },
  });
  let most = 0;
  supervisor.on("instance:changed", () => {
    most = Math.max(
      most,
      supervisor.process("worker").instances.filter(({ pid }) => pid !== null).length,
    );
  });
  const operations = Array.from({ length: 200 }, (_, index) => {
    if (index % 4 === 0) return supervisor.scale("worker", 1 + (index % 5));
    return index % 4 === 1 ? supervisor.rollout("worker") : supervisor.restart("worker");
  });
  const outcomes = await Promise.all(operations.map(({ done }) => done));
  expect(new Set(outcomes.map(({ id }) => id)).size).toBe(200);
  for (const { state } of outcomes) expect(["succeeded", "superseded"]).toContain(state);
  const last = supervisor.scale("worker", 2);
  expect((await last.done).state).toBe("succeeded");
  await waitFor(() => livePids(mark).length === 2);
  expect(most).toBeLessThanOrEqual(6);
});
