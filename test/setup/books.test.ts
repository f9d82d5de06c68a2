import { expect, test } from "vitest";
import { findImbalance } from "./books.ts";

const BALANCED = `
# TYPE millrace_buffer_state_rows gauge
millrace_buffer_state_rows{state="pending"} 2
millrace_buffer_state_rows{state="purged"} 3
millrace_buffer_appended_rows_total 5
millrace_ingest_payloads_total{token="web"} 4
millrace_ingest_payloads_total{token="jobs"} 1
`;

test("a scrape whose states add up balances, and so does one without a buffer", () => {
  expect(findImbalance(BALANCED)).toBeUndefined();
  expect(findImbalance("process_cpu_seconds_total 1")).toBeUndefined();
});

test("a payload that no state accounts for is found, and so is one acknowledged and not stored", () => {
  expect(findImbalance(BALANCED.replace("} 3", "} 2"))).toContain("5 payloads stored, 4 accounted");
  expect(findImbalance(BALANCED.replace('"jobs"} 1', '"jobs"} 2'))).toBe(
    "6 acknowledged, 5 stored",
  );
});
