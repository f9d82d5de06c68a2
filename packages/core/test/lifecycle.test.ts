import { expect, test } from "vitest";
import type { ComponentState } from "../src/component.ts";
import { Lifecycle, type LifecycleSteps } from "../src/lifecycle.ts";

/** A component that notes what happens to it and in which state. */
function traced(overrides: Partial<LifecycleSteps> = {}) {
  const trace: string[] = [];
  const lifecycle: Lifecycle = new Lifecycle({
    name: "part",
    open(closers) {
      trace.push(`open:${lifecycle.state}`);
      closers.push(() => trace.push(`close outer:${lifecycle.state}`));
      closers.push(() => trace.push(`close inner:${lifecycle.state}`));
    },
    drain() {
      trace.push(`drain:${lifecycle.state}`);
    },
    ...overrides,
  });
  return { trace, lifecycle };
}

function deferred() {
  return Promise.withResolvers<void>();
}

test("it walks from idle over starting, running and draining to closed", async () => {
  const { trace, lifecycle } = traced();
  const states: ComponentState[] = [lifecycle.state];
  const starting = lifecycle.start();
  states.push(lifecycle.state);
  await starting;
  states.push(lifecycle.state);
  const closing = lifecycle.close();
  states.push(lifecycle.state);
  await closing;
  states.push(lifecycle.state);
  expect(states).toEqual(["idle", "starting", "running", "draining", "closed"]);
  expect(trace).toEqual([
    "open:starting",
    "drain:draining",
    "close inner:draining",
    "close outer:draining",
  ]);
  expect(await lifecycle.closed).toBeUndefined();
});

test("closing twice is one close", async () => {
  const { trace, lifecycle } = traced();
  await lifecycle.start();
  expect(lifecycle.close()).toBe(lifecycle.close());
  await lifecycle.close();
  expect(trace.filter((line) => line.startsWith("drain"))).toHaveLength(1);
});

test("it starts once: a second start, or one after close, is rejected, never thrown", async () => {
  const { lifecycle } = traced();
  await lifecycle.start();
  const second = lifecycle.start();
  await expect(second).rejects.toMatchObject({ code: "ILLEGAL_STATE" });
  expect(lifecycle.state).toBe("running");
  await lifecycle.close();
  await expect(lifecycle.start()).rejects.toMatchObject({ code: "ILLEGAL_STATE" });
});

test("closing what never started closes it", async () => {
  const { trace, lifecycle } = traced();
  await lifecycle.close();
  expect(lifecycle.state).toBe("closed");
  expect(await lifecycle.closed).toBeUndefined();
  expect(trace).toEqual([]);
});

test("a start that fails releases what it opened, last first, and keeps its error", async () => {
  const closed: string[] = [];
  const failure = new Error("port in use");
  const { lifecycle } = traced({
    open(closers) {
      closers.push(() => closed.push("file"));
      closers.push(() => Promise.reject(new Error("cannot close")));
      closers.push(() => closed.push("socket"));
      throw failure;
    },
  });
  await expect(lifecycle.start()).rejects.toBe(failure);
  expect(closed).toEqual(["socket", "file"]);
  expect(lifecycle.state).toBe("failed");
  expect(await lifecycle.closed).toBe(failure);
  await lifecycle.close();
  expect(lifecycle.state).toBe("failed");
});

test("a start whose signal fires is undone", async () => {
  const gate = deferred();
  const closed: string[] = [];
  const { lifecycle } = traced({
    async open(closers) {
      closers.push(() => closed.push("file"));
      await gate.promise;
    },
  });
  const abort = new AbortController();
  const starting = lifecycle.start({ signal: abort.signal });
  abort.abort();
  gate.resolve();
  await expect(starting).rejects.toMatchObject({ code: "START_ABORTED" });
  expect(closed).toEqual(["file"]);
  expect(lifecycle.state).toBe("failed");
});

test("a start with a signal that has fired opens nothing", async () => {
  const { trace, lifecycle } = traced();
  await expect(lifecycle.start({ signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: "START_ABORTED",
  });
  expect(trace).toEqual([]);
});

test("closing while it starts stops the start, tells it by signal, and ends closed", async () => {
  const { lifecycle } = traced({
    open: (_closers, signal) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("told")), { once: true });
      }),
  });
  const starting = lifecycle.start().catch((error: unknown) => error);
  await lifecycle.close();
  expect(await starting).toMatchObject({ code: "START_ABORTED" });
  expect(lifecycle.state).toBe("closed");
  expect(await lifecycle.closed).toBeUndefined();
});

test("failing while running releases everything and tells why", async () => {
  const { trace, lifecycle } = traced();
  await lifecycle.start();
  const cause = new Error("lost the disk");
  await lifecycle.fail(cause);
  expect(lifecycle.state).toBe("failed");
  expect(await lifecycle.closed).toBe(cause);
  expect(trace).toEqual(["open:starting", "close inner:failed", "close outer:failed"]);
  await lifecycle.fail(new Error("later"));
  await lifecycle.close();
  expect(await lifecycle.closed).toBe(cause);
});

test("closing while a failure is being released waits for the release", async () => {
  const gate = deferred();
  let isReleased = false;
  const { lifecycle } = traced({
    open(closers) {
      closers.push(async () => {
        await gate.promise;
        isReleased = true;
      });
    },
  });
  await lifecycle.start();
  void lifecycle.fail(new Error("broken"));
  const closing = lifecycle.close().then(() => isReleased);
  gate.resolve();
  expect(await closing).toBe(true);
});

test("failing while it drains ends failed, and close waits for that", async () => {
  const gate = deferred();
  const { lifecycle } = traced({ drain: () => gate.promise });
  await lifecycle.start();
  const closing = lifecycle.close();
  const cause = new Error("broken");
  const failing = lifecycle.fail(cause);
  gate.resolve();
  await Promise.all([closing, failing]);
  expect(lifecycle.state).toBe("failed");
  expect(await lifecycle.closed).toBe(cause);
});

test("work in hand hears when its grace period is over", async () => {
  const { lifecycle } = traced({
    drain: (signal) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
      }),
  });
  await lifecycle.start();
  await lifecycle.close({ graceMs: 1 });
  expect(lifecycle.state).toBe("closed");
});

test("an unlimited grace period is not cut off", async () => {
  const gate = deferred();
  let wasCut = false;
  const { lifecycle } = traced({
    async drain(signal) {
      setTimeout(gate.resolve, 20);
      await gate.promise;
      wasCut = signal.aborted;
    },
  });
  await lifecycle.start();
  await lifecycle.close({ graceMs: Number.POSITIVE_INFINITY });
  expect(wasCut).toBe(false);
});

test("a drain that fails still releases everything, and close says so", async () => {
  const failure = new Error("flush failed");
  const { trace, lifecycle } = traced({ drain: () => Promise.reject(failure) });
  await lifecycle.start();
  await expect(lifecycle.close()).rejects.toBe(failure);
  expect(trace).toContain("close outer:draining");
  expect(lifecycle.state).toBe("closed");
  expect(await lifecycle.closed).toBe(failure);
});

test("no timer is left after close", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  const { lifecycle } = traced();
  await lifecycle.start();
  await lifecycle.close({ graceMs: 60_000 });
  expect(timers()).toBeLessThanOrEqual(before);
});
