import { parentPort, workerData } from "node:worker_threads";
import fc from "fast-check";
import { runSchedule, schedules } from "./run-schedule.ts";

/** How far a thread has come. */
export interface SliceReport {
  schedules: number;
  /** What fast-check says of the first failure: seed, path and the shortest schedule. */
  failure: string | undefined;
}

interface Slice {
  seed: number;
  schedules: number;
  budgetMs: number;
}

const slice = workerData as Slice;
const details = await fc.check(fc.asyncProperty(schedules, runSchedule), {
  seed: slice.seed,
  numRuns: slice.schedules,
  interruptAfterTimeLimit: slice.budgetMs,
});
const report: SliceReport = {
  schedules: details.numRuns,
  failure: details.failed ? String(fc.defaultReportMessage(details)) : undefined,
};
parentPort?.postMessage(report);
