import { expect, test } from "vitest";
import { killUnderLoad, SEED } from "./kill-under-load.ts";
import { NO_FAULTS } from "./landed-marks.ts";

test(`4 kill -9 of the agent under load lose and double nothing (MILLRACE_TEST_SEED=${SEED})`, async () => {
  const { acknowledged, faults, exitCode } = await killUnderLoad(4);
  expect(acknowledged).toBeGreaterThan(10);
  expect(faults).toEqual(NO_FAULTS);
  expect(exitCode).toBe(0);
}, 60_000);
