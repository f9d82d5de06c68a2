import fc from "fast-check";
import { test } from "vitest";
import { runSchedule, schedules } from "./run-schedule.ts";

// A failure names its seed and the shortest schedule that still fails.
test("whatever happens in whatever order, a supervisor keeps its promises and leaves nothing behind", async () => {
  await fc.assert(fc.asyncProperty(schedules, runSchedule), { numRuns: 700 });
}, 120_000);
