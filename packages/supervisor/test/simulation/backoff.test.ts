import { describe, expect, test, vi } from "vitest";
import { simulate } from "./simulate.ts";
import type { SimulatedHost } from "./simulated-host.ts";

const CAP_MS = 30_000;
const MINUTE_MS = 60_000;
const INSTANCES = 50;
/** So generous that only the backoff holds anybody back. */
const NO_BUDGET = { restarts: 1e6, windowMs: 1_000 };

function endAll(host: SimulatedHost): void {
  for (const process of host.running) process.end({ code: 1, signal: null });
}

/** When each launch happened since `sinceMs`, by instance. */
function launches(host: SimulatedHost, sinceMs: number): Array<{ id: string; atMs: number }> {
  return host.launched.flatMap(({ plan, startedMonotonicMs: atMs }) =>
    atMs < sinceMs ? [] : [{ id: plan.env["MILLRACE_INSTANCE_ID"] ?? "", atMs }],
  );
}

// Much is made to happen, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 });

describe.each([1, 2, 3])("fifty instances that crash together, seed %i", (seed) => {
  test("after each crash no tenth of a second sees more than a fifth of them start", async () => {
    const { host } = await simulate({ scale: INSTANCES, restartBudget: NO_BUDGET }, seed);
    // The bound of the wait doubles with each: 100, 200, 400, 800 ms, and so on.
    for (let crash = 1; crash <= 8; crash++) {
      const sinceMs = host.clock.monotonicMs();
      endAll(host);
      await host.clock.advance(CAP_MS);
      const wave = launches(host, sinceMs);
      expect(wave).toHaveLength(INSTANCES);
      const buckets = Map.groupBy(wave, ({ atMs }) => Math.floor((atMs - sinceMs) / 100));
      const fullest = Math.max(...[...buckets.values()].map(({ length }) => length));
      expect(fullest, `after crash ${crash}`).toBeLessThanOrEqual(INSTANCES / 5);
    }
  });

  test("they go on crashing at most once per cap each, in the long run", async () => {
    // Whatever they do before they crash, they are never stable.
    const backoff = { minUptimeMs: MINUTE_MS };
    const { host } = await simulate({ scale: INSTANCES, restartBudget: NO_BUDGET, backoff }, seed);
    host.tempers.set("worker", "crashing");
    endAll(host);
    await host.clock.advance(10 * MINUTE_MS);
    const sinceMs = host.clock.monotonicMs();
    await host.clock.advance(20 * MINUTE_MS);
    const starts = Map.groupBy(launches(host, sinceMs), ({ id }) => id);
    expect(starts.size).toBe(INSTANCES);
    for (const { length } of starts.values()) {
      expect(length).toBeLessThanOrEqual((20 * MINUTE_MS) / CAP_MS);
    }
  });

  test("what heals after ten minutes is up within one cap", async () => {
    const { host, supervisor } = await simulate({ scale: INSTANCES }, seed);
    host.tempers.set("worker", "crashing");
    endAll(host);
    await host.clock.advance(10 * MINUTE_MS);
    host.tempers.clear();
    // Those that have just been started crash once more before they heal.
    endAll(host);
    await host.clock.advance(CAP_MS);
    expect(supervisor.process("worker").counts.ready).toBe(INSTANCES);
  });
});
