import { describe, expect, test } from "vitest";
import { prepare, simulate } from "./simulate.ts";

/** What random schedules have found, each as small as it gets. */
describe("operations that wait for their turn", () => {
  test("an instance that was scaled away meanwhile isn't started above the scale", async () => {
    const { host, supervisor, close } = await simulate({ scale: 3 });
    const scaling = supervisor.scale("worker", 1, { step: 1, delayMs: 500 });
    await host.clock.advance(1);
    const starts = ["start", "restart"].map((kind) =>
      kind === "start" ? supervisor.startProcess("worker-2") : supervisor.restart("worker-2"),
    );
    await host.clock.advance(5_000);
    expect(scaling.status().state).toBe("succeeded");
    for (const start of starts) {
      expect(start.status()).toMatchObject({
        state: "failed",
        error: { code: "SUPERVISOR_INSTANCE_UNKNOWN" },
      });
    }
    expect(supervisor.process("worker").scale).toBe(1);
    expect(await close()).toEqual([]);
  });

  test("a stop of one instance hits the one that a rollout has put there meanwhile", async () => {
    const { host, supervisor, close } = await simulate({ scale: 2 });
    supervisor.rollout("worker");
    supervisor.stopProcess("worker-2");
    await host.clock.advance(5_000);
    const { instances } = supervisor.process("worker");
    expect(instances.map(({ name, state }) => `${name} ${state}`)).toEqual([
      "worker-1 ready",
      "worker-2 stopped",
    ]);
    expect(await close()).toEqual([]);
  });

  test("a restart that was superseded puts back what it has stopped, and starts nothing in vain", async () => {
    const { host, supervisor, close } = await simulate({ scale: 1, rollout: { maxSurge: 0 } });
    supervisor.restart("worker");
    await host.clock.advance(0);
    expect(supervisor.process("worker").counts.draining).toBe(0);
    expect(supervisor.process("worker").counts.stopping).toBe(1);
    const launched = host.launched.length;
    const cancelled = supervisor.restart("worker");
    cancelled.cancel();
    await host.clock.advance(5_000);
    expect(supervisor.process("worker").counts.ready).toBe(1);
    expect(host.launched.length).toBe(launched + 1);
    expect(await close()).toEqual([]);
  });

  test("cancelling a rollout that watches whether an instance stays ready ends it at once", async () => {
    const { host, supervisor, close } = await simulate({
      scale: 1,
      rollout: { minReadyMs: 60_000 },
    });
    const rollout = supervisor.rollout("worker");
    await host.clock.advance(1_000);
    expect(supervisor.process("worker").instances).toHaveLength(2);
    rollout.cancel();
    await host.clock.advance(2_000);
    expect(supervisor.process("worker").instances).toMatchObject([
      { generation: 1, state: "ready" },
    ]);
    expect(await close()).toEqual([]);
  });
});

test("an instance that is being replaced, and listed, can be asked about and told what comes next", async () => {
  const { host, supervisor, close } = await simulate({ scale: 1, rollout: { maxSurge: 0 } });
  supervisor.rollout("worker");
  await host.clock.advance(0);
  expect(supervisor.process("worker").instances).toMatchObject([
    { name: "worker-1", state: "stopping" },
  ]);
  expect(supervisor.explain("worker-1").because).not.toEqual([]);
  expect(supervisor.logs("worker-1")).not.toEqual([]);
  const restart = supervisor.restart("worker-1");
  await host.clock.advance(5_000);
  expect(restart.status().state).toBe("succeeded");
  expect(supervisor.process("worker").counts.ready).toBe(1);
  expect(host.launched).toHaveLength(3);
  expect(await close()).toEqual([]);
});

test("starting an instance that half a rollout has left in another generation loses nothing", async () => {
  const { host, supervisor, close } = await simulate({ scale: 2, rollout: { maxSurge: 0 } });
  const rollout = supervisor.rollout("worker");
  await host.clock.advanceUntil(
    () => supervisor.process("worker").instances.some(({ generation }) => generation === 2),
    5_000,
    1,
  );
  rollout.cancel();
  await host.clock.advance(5_000);
  const pids = host.running.map(({ pid }) => pid);
  expect(supervisor.process("worker").instances).toMatchObject([
    { generation: 2 },
    { generation: 1 },
  ]);
  supervisor.startProcess("worker-1");
  await host.clock.advance(1_000);
  expect(supervisor.process("worker").instances.map(({ pid }) => pid)).toEqual(pids);
  expect(host.running.map(({ pid }) => pid)).toEqual(pids);
  expect(await close()).toEqual([]);
});

describe("instances that end while something happens to their process", () => {
  test("oneshots that end while others are being started run once each", async () => {
    const { host, supervisor, close } = await simulate({ type: "oneshot", scale: 0 });
    host.tempers.set("worker", "missing");
    const scaling = supervisor.scale("worker", 20);
    await host.clock.advance(1_000);
    expect(scaling.status().state).toBe("succeeded");
    expect(host.launched).toHaveLength(20);
    expect(supervisor.process("worker").counts.failed).toBe(20);
    expect(await close()).toEqual([]);
  });

  test("one that is stopped between its crash and its restart isn't started again", async () => {
    const { host, supervisor, close } = await simulate({
      hooks: { postStop: { command: ["works"] } },
      backoff: { minUptimeMs: 0 },
    });
    host.running[0]?.end({ code: 1, signal: null });
    expect(supervisor.process("worker").counts.backoff).toBe(1);
    supervisor.stopProcess("worker");
    await host.clock.advance(1_000);
    expect(host.leftovers()).toEqual([]);
    expect(await close()).toEqual([]);
  });
});

test("a postStart hook ends with the run that it belongs to", async () => {
  const { host, close } = await simulate({
    restart: "never",
    hooks: { postStart: { command: ["hangs"] } },
  });
  expect(host.leftovers()).toHaveLength(2);
  host.running[0]?.end({ code: 1, signal: null });
  await host.clock.advance(1);
  expect(host.leftovers()).toEqual([]);
  expect(await close()).toEqual([]);
});

describe("a supervisor that stops because it could not start", () => {
  test("does nothing more that it is told", async () => {
    const { host, supervisor } = prepare(
      {
        worker: { command: ["worker"], hooks: { postStop: { command: ["hangs"] } } },
        dependent: { command: ["dependent"], dependsOn: { worker: "completed" } },
      },
      1,
      { dependencyTimeoutMs: 1_000 },
    );
    const starting = supervisor.start().catch((error: unknown) => error);
    await host.clock.advance(2_000);
    expect(supervisor.state).toBe("starting");
    expect(() => supervisor.rollout("worker")).toThrow(
      expect.objectContaining({ code: "SUPERVISOR_NOT_RUNNING" }),
    );
    const path = "http://localhost/api/v1/processes/worker/start";
    const response = await supervisor.fetch(new Request(path, { method: "POST" }));
    expect(response.status).toBe(202);
    await host.clock.advance(60_000);
    expect(await starting).toMatchObject({ code: "SUPERVISOR_DEPENDENCY_UNMET" });
    expect(host.leftovers()).toEqual([]);
    expect(host.clock.pending).toBe(0);
  });

  test("leaves no autoscaler behind when a hook after the start was what failed", async () => {
    const input = { name: "load", read: () => ({ desired: 5, reason: "much to do" }) };
    const { host, supervisor } = prepare(
      { worker: { command: ["worker"], autoscale: { inputs: [input], intervalMs: 100 } } },
      1,
      { hooks: { postStart: { command: ["fails"], onFailure: "fail" } } },
    );
    const starting = supervisor.start().catch((error: unknown) => error);
    await host.clock.advance(60_000);
    expect(await starting).toMatchObject({ code: "SUPERVISOR_HOOK_FAILED" });
    expect(host.leftovers()).toEqual([]);
    expect(host.clock.pending).toBe(0);
  });
});

test("a canary that is cancelled while its first instance takes over leaves none behind", async () => {
  const { host, supervisor, close } = await simulate({ scale: 3 });
  const canary = supervisor.canary("worker", { patch: {}, holdMs: 60_000 });
  await host.clock.advance(0);
  expect(supervisor.process("worker").instances.map(({ state }) => state)).toContain("stopping");
  canary.cancel();
  await host.clock.advance(5_000);
  expect(supervisor.process("worker").instances.map(({ generation }) => generation)).toEqual([
    1, 1, 1,
  ]);
  expect(await close()).toEqual([]);
});

test("an aborted canary says so with a code of its own", async () => {
  const { host, supervisor, close } = await simulate({ scale: 3 });
  const verdict = () => "abort" as const;
  const canary = supervisor.canary("worker", { patch: {}, holdMs: 1_000, verdict });
  await host.clock.advance(5_000);
  expect(canary.status().error?.code).toBe("SUPERVISOR_CANARY_ABORTED");
  expect(supervisor.process("worker").instances.map(({ generation }) => generation)).toEqual([
    1, 1, 1,
  ]);
  expect(await close()).toEqual([]);
});
