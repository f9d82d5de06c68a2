import { describe, expect, it } from "vitest";
import { killRun } from "./support/kill-harness.ts";

const isSoak = process.env["MILLRACE_SOAK"] === "1";

describe("workers that are killed at random", () => {
  it("lose no task, exceed no cap and leave no slot behind, while caps change and people promote and remove", async () => {
    const jobs = isSoak ? 100_000 : 10_000;
    const report = await killRun({
      jobs,
      tenants: 50,
      gateCap: 3,
      killEveryMs: 700,
      timeoutMs: isSoak ? 600_000 : 120_000,
    });
    console.log({ jobs, ...report, lost: report.lost.length });
    expect(report).toMatchObject({
      lost: [],
      capViolations: 0,
      badFences: 0,
      gateViolations: [],
      leftInQueue: 0,
      activeTenants: [],
    });
    expect(report.kills).toBeGreaterThan(2);
    expect(report.completedTwice).toBeLessThanOrEqual(jobs / 100);
  }, 660_000);

  it("would be caught by the same check if the gate allowed five where three are allowed", async () => {
    const report = await killRun({
      jobs: 300,
      tenants: 3,
      gateCap: 5,
      killEveryMs: undefined,
      timeoutMs: 30_000,
    });
    expect(report.capViolations).toBeGreaterThan(0);
  }, 60_000);
});
