import { test } from "vitest";
import { killUnderLoad, SEED } from "../e2e/kill-under-load.ts";

test(
  `100 kill -9 of the agent under load lose and double nothing (MILLRACE_TEST_SEED=${SEED})`,
  () => killUnderLoad(100, 100),
  900_000,
);
