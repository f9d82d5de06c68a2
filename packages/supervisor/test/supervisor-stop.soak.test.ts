import { waitFor } from "@millrace/core/testing";
import { expect, test } from "vitest";
import { execArgv, fixture } from "./fixtures/fixture.ts";
import { isRunning, pidsOf, startSupervisor } from "./fixtures/start-supervisor.ts";

// MILLRACE_SOAK=1 asks for the times of the specification, which a busy machine can't keep.
const SLACK = Number(process.env["MILLRACE_SOAK"] ?? 0) > 0 ? 1 : 4;

test("fifty stubborn children with a second each are all gone half a second after it", async () => {
  const supervisor = await startSupervisor({
    processes: {
      stubborn: { command: [fixture("ignores-term.sh")], scale: 50, stop: { timeoutMs: 1_000 } },
    },
  });
  await waitFor(() => supervisor.logs("stubborn").length === 50, { timeoutMs: 60_000 });
  const pids = Object.values(pidsOf(supervisor, "stubborn")).map(Number);
  const startedAt = performance.now();
  await supervisor.stopProcess("stubborn").done;
  const tookMs = performance.now() - startedAt;
  console.log(`50 stubborn children were gone after ${Math.round(tookMs)} ms`);
  expect(pids.filter(isRunning)).toEqual([]);
  expect(tookMs).toBeGreaterThanOrEqual(1_000);
  expect(tookMs).toBeLessThan(1_000 + 500 * SLACK);
});

test("from ten to two with eight jobs in hand the idle go at once, and no job is lost", async () => {
  const supervisor = await startSupervisor({
    processes: {
      worker: {
        module: fixture("slow-drain.ts"),
        execArgv,
        args: ["3000"],
        env: { BUSY_BELOW: "9" },
        scale: 10,
        health: { readiness: { type: "ipc" } },
      },
    },
  });
  const lines: string[] = [];
  const gone: Array<{ instance: string; durationMs: number; killed: boolean }> = [];
  supervisor.on("line:written", ({ message }) => lines.push(message));
  supervisor.on("instance:stopped", (end) => gone.push(end));
  await supervisor.whenReady("worker", { timeoutMs: 60_000 });
  await waitFor(
    () => supervisor.process("worker").instances.filter(({ busy }) => busy === 1).length === 8,
  );
  await supervisor.scale("worker", 2).done;
  expect(gone).toHaveLength(8);
  const idle = gone.filter(({ instance }) => /-(9|10)$/.test(instance));
  const tookMs = idle.map(({ durationMs }) => Math.round(durationMs)).join(" and ");
  console.log(`idle instances were gone after ${tookMs} ms`);
  expect(idle).toHaveLength(2);
  for (const { durationMs } of idle) expect(durationMs).toBeLessThan(100 * SLACK * 2);
  await supervisor.close();
  const done = Array.from({ length: 8 }, (_, index) => `job of worker-${index + 1} done`);
  expect(lines.toSorted()).toEqual(done);
  expect(gone.some(({ killed }) => killed)).toBe(false);
});
