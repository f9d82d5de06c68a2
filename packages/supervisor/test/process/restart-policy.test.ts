import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decideRestart, type Exit, type RestartPolicy } from "../../src/process/restart-policy.ts";

const policy: RestartPolicy = {
  restart: "always",
  successCodes: [0],
  successSignals: ["SIGUSR2"],
  noRestartCodes: [78],
  noRestartSignals: ["SIGSYS"],
  giveUpAfter: 0,
  backoff: { baseMs: 100, capMs: 30_000, minUptimeMs: 10_000, crashloopAfter: 5 },
};
const clean: Exit = { code: 0, signal: null };
const crash: Exit = { code: 1, signal: null };
const killed: Exit = { code: null, signal: "SIGKILL" };
const refused: Exit = { code: 78, signal: null };
const dismissed: Exit = { code: null, signal: "SIGUSR2" };
const forbidden: Exit = { code: null, signal: "SIGSYS" };

describe("which exits are followed by a restart", () => {
  test.each([
    ["always", clean, "restart"],
    ["always", crash, "restart"],
    ["always", killed, "restart"],
    ["always", refused, "failed"],
    ["always", dismissed, "restart"],
    ["always", forbidden, "failed"],
    ["on-failure", dismissed, "stopped"],
    ["on-failure", forbidden, "failed"],
    ["never", dismissed, "stopped"],
    ["on-failure", clean, "stopped"],
    ["on-failure", crash, "restart"],
    ["on-failure", killed, "restart"],
    ["never", clean, "stopped"],
    ["never", crash, "failed"],
    ["never", killed, "failed"],
  ] as const)("%s after %o: %s", (restart, exit, expected) => {
    const decision = decideRestart(exit, 0, 0, { ...policy, restart });
    expect(decision.action === "end" ? decision.state : decision.action).toBe(expected);
  });
});

test("the first crash after a stable run is restarted at once", () => {
  expect(decideRestart(crash, 10_000, 0, policy)).toMatchObject({ delayMs: 0, stable: true });
});

test("waits double up to the cap, and five unstable crashes make a crash loop", () => {
  const bounds = [];
  let level = 0;
  for (let crashes = 0; crashes < 12; crashes++) {
    const decision = decideRestart(crash, 5, level, policy, () => 1);
    if (decision.action !== "restart") throw new Error("expected a restart");
    bounds.push(decision.delayMs);
    expect(decision.crashloop).toBe(crashes >= 4);
    level = decision.level;
  }
  expect(bounds.slice(0, 4)).toEqual([100, 200, 400, 800]);
  expect(bounds.at(-1)).toBe(30_000);
});

test("the level decays with stable uptime instead of jumping to zero", () => {
  expect(decideRestart(crash, 25_000, 6, policy)).toMatchObject({ level: 4, delayMs: 0 });
});

test("giveUpAfter ends in failed", () => {
  expect(decideRestart(crash, 0, 3, { ...policy, giveUpAfter: 3 })).toMatchObject({
    action: "end",
    state: "failed",
  });
});

test("no wait is ever above the cap or below zero", () => {
  fc.assert(
    fc.property(
      fc.nat(200),
      fc.nat(100_000),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (level, uptime, random) => {
        const decision = decideRestart(crash, uptime, level, policy, () => random);
        if (decision.action !== "restart") throw new Error("expected a restart");
        expect(decision.delayMs).toBeGreaterThanOrEqual(0);
        expect(decision.delayMs).toBeLessThanOrEqual(policy.backoff.capMs);
      },
    ),
  );
});

test("fifty instances that crash together do not come back together", () => {
  const delays = Array.from({ length: 1_000 }, () => {
    const decision = decideRestart(crash, 5, 5, policy);
    return decision.action === "restart" ? decision.delayMs : 0;
  });
  const buckets = new Map<number, number>();
  for (const delay of delays) {
    const bucket = Math.floor(delay / 100);
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
  }
  expect(Math.max(...buckets.values())).toBeLessThan(200);
});
