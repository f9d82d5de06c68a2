import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import type { SliceReport } from "./schedule-slice.ts";

const SCHEDULES = Number(process.env["MILLRACE_SOAK_SCHEDULES"] ?? 60_000);
/** The same schedules unless another seed is given: a change is judged by them, and not by luck. */
const SEED = Number(process.env["MILLRACE_TEST_SEED"] ?? 20_000);
const BUDGET_MS = 300_000;

/** Runs schedules of one seed in a thread until there are enough, or the time is over. */
function runSlice(seed: number, schedules: number): Promise<SliceReport> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("schedule-slice.ts", import.meta.url), {
      workerData: { seed, schedules, budgetMs: BUDGET_MS },
      execArgv: ["--conditions=@millrace/source"],
    });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

test(
  `${SCHEDULES} random schedules, or as many as five minutes hold, break no promise (MILLRACE_SOAK_SCHEDULES, MILLRACE_TEST_SEED)`,
  async () => {
    const threads = availableParallelism();
    const slices = Array.from({ length: threads }, (_, index) =>
      runSlice((SEED + index) % 2 ** 31, Math.ceil(SCHEDULES / threads)),
    );
    const reports = await Promise.all(slices);
    const done = reports.reduce((sum, { schedules }) => sum + schedules, 0);
    console.log(`${done} schedules, seeds from ${SEED} on`);
    expect(reports.flatMap(({ failure }) => failure ?? [])).toEqual([]);
    expect(done).toBeGreaterThan(1_000);
  },
  BUDGET_MS + 60_000,
);
