import { expect, test } from "vitest";
import { nightwatch } from "../../src/nightwatch/index.ts";
import { planRollupPruning } from "../../src/rollups/rollup-retention.ts";
import { defineRollup } from "../../src/rollups/rollup.ts";
import { text } from "../../src/schema/columns.ts";

const now = new Date("2026-11-23T12:34:56.789Z");

test("each interval with a retention is pruned by its own, and one without is kept", () => {
  const rollup = defineRollup("views", {
    match: { t: "view" },
    key: { page: text("page") },
    occurredAt: "timestamp",
    retain: { minute: "2 weeks" },
  });
  expect(planRollupPruning([rollup], now)).toEqual([
    { table: "views", intervalSeconds: 60, before: new Date("2026-11-09T12:34:56.789Z") },
  ]);
});

test("those of nightwatch keep minutes for 7 days and hours for a year", () => {
  const plan = planRollupPruning(nightwatch().rollups ?? [], now);
  expect(plan).toHaveLength(8);
  const cutoffs = new Set(
    plan.map(({ intervalSeconds, before }) => `${intervalSeconds} ${before.toISOString()}`),
  );
  expect(cutoffs).toEqual(
    new Set(["60 2026-11-16T12:34:56.789Z", "3600 2025-11-23T12:34:56.789Z"]),
  );
});

test("nightwatch can do without", () => {
  expect(nightwatch({ rollups: false }).rollups).toBeUndefined();
});
