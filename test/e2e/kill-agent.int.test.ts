import { test } from "vitest";
import { killUnderLoad, SEED } from "./kill-under-load.ts";

test(
  `4 kill -9 of the agent under load lose and double nothing (MILLRACE_TEST_SEED=${SEED})`,
  () => killUnderLoad(4, 10),
  60_000,
);
