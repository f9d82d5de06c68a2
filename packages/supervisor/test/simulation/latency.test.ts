import { metric } from "@millrace/supervisor";
import { expect, test } from "vitest";
import { simulate } from "./simulate.ts";

// On a clock that nothing real makes late, bounds of time are exact.

const COLD_START_MS = 20;

test("a process at zero is started by a wake at once, whatever its autoscaler's interval", async () => {
  const wanted = metric(() => 2, { targetPerInstance: 1 });
  const { host, supervisor, close } = await simulate({
    scale: 0,
    autoscale: { inputs: [wanted], intervalMs: 3_600_000 },
  });
  expect(host.launched).toEqual([]);
  const wokenAtMs = host.clock.monotonicMs();
  const woken = supervisor.wake("worker");
  await host.clock.advance(COLD_START_MS);
  await woken;
  expect(host.launched).toHaveLength(2);
  for (const { startedMonotonicMs } of host.launched) {
    expect(startedMonotonicMs - wokenAtMs).toBeLessThanOrEqual(COLD_START_MS);
  }
  expect(await close()).toEqual([]);
});

test.each([
  [1, 500],
  [2, 1_000],
  [3, 4_000],
])(
  "children that hang are found within the heartbeat's timeout and one interval, seed %i, interval %i ms",
  async (seed, intervalMs) => {
    const timeoutMs = 6_000;
    const { host, supervisor, close } = await simulate(
      {
        scale: 0,
        maxScale: 20,
        ipc: true,
        health: {
          readiness: { type: "ipc" },
          liveness: { type: "ipc", intervalMs, timeoutMs },
        },
      },
      seed,
    );
    const foundAtMs = new Map<number, number>();
    supervisor.on("instance:changed", ({ pid, reason }) => {
      if (pid === undefined || !reason.startsWith("liveness probe failed")) return;
      if (!foundAtMs.has(pid)) foundAtMs.set(pid, host.clock.monotonicMs());
    });
    host.tempers.set("worker", "frozen");
    supervisor.scale("worker", 20);
    await host.clock.advance(60_000);
    const nowMs = host.clock.monotonicMs();
    const hung = host.launched.filter(
      // What hangs before its first heartbeat has not become ready, which has a timeout of its own.
      ({ freezesAtMs, bootedAtMs }) =>
        bootedAtMs < freezesAtMs && freezesAtMs + timeoutMs + intervalMs < nowMs,
    );
    expect(hung.length).toBeGreaterThanOrEqual(20);
    for (const { pid, freezesAtMs } of hung) {
      const hungForMs = (foundAtMs.get(Number(pid)) ?? Number.NaN) - freezesAtMs;
      expect(hungForMs).toBeLessThanOrEqual(timeoutMs + intervalMs);
    }
    expect(await close()).toEqual([]);
  },
);
