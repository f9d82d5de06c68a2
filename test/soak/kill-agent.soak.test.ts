import { expect, test } from "vitest";
import { killUnderLoad, SEED } from "../e2e/kill-under-load.ts";
import { NO_FAULTS } from "../e2e/landed-marks.ts";

test(`100 kill -9 of the agent under load lose and double nothing (MILLRACE_TEST_SEED=${SEED})`, async () => {
  const { acknowledged, faults, exitCode } = await killUnderLoad(100);
  expect(acknowledged).toBeGreaterThan(100);
  expect(faults).toEqual(NO_FAULTS);
  expect(exitCode).toBe(0);
}, 900_000);
