import { waitFor } from "@millrace/core/testing";
import { eventLoop, metric } from "@millrace/supervisor";
import { expect, test } from "vitest";
import { execArgv, fixture } from "../fixtures/fixture.ts";
import { startSupervisor } from "../fixtures/start-supervisor.ts";

const command = ["sleep", "1000"];

test("a process follows its metric, holds while it is missing, and says why", async () => {
  let wanted: number | undefined = 3;
  const input = metric(() => wanted, { targetPerInstance: 1 });
  const supervisor = await startSupervisor({
    processes: {
      worker: {
        command,
        minScale: 1,
        maxScale: 5,
        autoscale: {
          inputs: [input],
          intervalMs: 20,
          up: { policies: [] },
          down: { stabilizationMs: 0 },
        },
      },
    },
  });
  const scale = (): number => supervisor.process("worker").counts.ready;
  await waitFor(() => scale() === 3);
  wanted = undefined;
  const last = (): ReturnType<typeof supervisor.decisions>[number] | undefined =>
    supervisor.decisions().at(-1);
  await waitFor(() => last()?.opinions[0]?.reason === "metric missing");
  expect(last()).toMatchObject({ current: 3, desired: 3, applied: false });
  wanted = 1;
  await waitFor(() => scale() === 1);
  wanted = 9;
  await waitFor(() => scale() === 5);
  expect(supervisor.decisions().find(({ limit }) => limit === "max")).toMatchObject({
    process: "worker",
    recommended: 9,
    desired: 5,
  });
});

test("a dry run decides and changes nothing; a wake decides at once, from zero too", async () => {
  const input = metric(() => 2, { targetPerInstance: 1 });
  const supervisor = await startSupervisor({
    processes: {
      dry: { command, autoscale: { inputs: [input], intervalMs: 3_600_000, dryRun: true } },
      idle: { command, scale: 0, autoscale: { inputs: [input], intervalMs: 3_600_000 } },
    },
  });
  await supervisor.wake("dry");
  expect(supervisor.decisions().at(-1)).toMatchObject({ process: "dry", current: 1, desired: 2 });
  expect(supervisor.decisions().at(-1)?.applied).toBe(false);
  expect(supervisor.process("dry").desired).toBe(1);
  expect(supervisor.process("idle").instances).toEqual([]);
  await supervisor.wake("idle");
  await supervisor.whenReady("idle");
  expect(supervisor.process("idle").scale).toBe(2);
});

test("busy event loops, as their children report them, call for more instances", async () => {
  const supervisor = await startSupervisor({
    processes: {
      worker: {
        module: fixture("spins-half.ts"),
        execArgv,
        maxScale: 2,
        health: { readiness: { type: "ipc" }, liveness: { type: "ipc", timeoutMs: 400 } },
        autoscale: { inputs: [eventLoop({ target: 0.2 })], intervalMs: 50 },
      },
    },
  });
  await waitFor(() => supervisor.process("worker").counts.ready === 2, { timeoutMs: 15_000 });
  expect(supervisor.decisions().find(({ applied }) => applied)?.reason).toMatch(/event loops busy/);
});
