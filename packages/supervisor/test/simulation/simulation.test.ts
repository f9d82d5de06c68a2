import fc from "fast-check";
import { test } from "vitest";
import { runSchedule, schedules } from "./run-schedule.ts";

test("whatever happens in whatever order, a supervisor keeps its promises and leaves nothing behind", async () => {
  await fc.assert(fc.asyncProperty(schedules, runSchedule), {
    numRuns: Number(process.env["RUNS"] ?? 2_000),
  });
}, 60_000);
