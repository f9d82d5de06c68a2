import { waitFor } from "@millrace/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConcurrencyMeter } from "../support/concurrency-meter.ts";
import { type Fixture, openFixture } from "../support/fixture.ts";
import { violationsAtRest } from "../support/violations-at-rest.ts";

describe("a queue and its worker", () => {
  let fixture: Fixture;

  beforeEach(async () => {
    fixture = await openFixture();
  });
  afterEach(() => fixture.close());

  it("runs a task once, with one activation and no guard", async () => {
    const starts: number[] = [];
    const worker = await fixture.worker({
      handler: (task) => {
        starts.push(task.fence);
        return Promise.resolve({ words: 3 });
      },
    });
    const { taskId, isDuplicate } = await fixture.queue.add({
      tenantId: "acme",
      data: { topic: "a" },
    });
    expect(isDuplicate).toBe(false);
    const view = await waitFor(async () => {
      const found = await fixture.queue.get(taskId);
      return found?.state === "completed" ? found : undefined;
    });
    expect(view.result).toEqual({ words: 3 });
    expect(starts).toEqual([1]);
    expect(worker.status()).toMatchObject({ completed: 1, parked: 0 });
    expect(await violationsAtRest(fixture.queue)).toEqual([]);
  });

  it("never runs more of a tenant's tasks than its cap, and keeps one activation per task", async () => {
    const meter = new ConcurrencyMeter();
    const worker = await fixture.worker({
      concurrency: 20,
      handler: async ({ tenantId }) => {
        await meter.work(tenantId, 5);
        return null;
      },
    });
    await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        fixture.queue.add({ tenantId: `t${index % 5}`, data: { index } }),
      ),
    );
    await waitFor(() => worker.status().completed === 200);
    expect(meter.highest).toBe(2);
    expect(worker.status().parked).toBe(0);
    expect(await violationsAtRest(fixture.queue)).toEqual([]);
    expect(await fixture.queue.gate.activeTenants()).toEqual([]);
  });

  it("retries a failing task with its attempts, then keeps it among the dead letters", async () => {
    const attempts: number[] = [];
    await fixture.worker({
      handler: (task) => {
        attempts.push(task.attempt);
        return Promise.reject(new Error("no luck"));
      },
    });
    const { taskId } = await fixture.queue.add({ tenantId: "acme", data: {}, attempts: 3 });
    await waitFor(async () => (await fixture.queue.get(taskId))?.state === "failed");
    expect(attempts).toEqual([1, 2, 3]);
    const [letter] = await fixture.queue.deadLetters.list({ tenantId: "acme" });
    expect(letter).toMatchObject({ taskId, tenantId: "acme", reason: "no luck" });
    expect(await violationsAtRest(fixture.queue)).toEqual([]);
  });

  it("gives running tasks back when it closes, at their place and without an attempt", async () => {
    const first = await fixture.worker({
      handler: (_, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("stopped")));
        }),
    });
    const { taskId } = await fixture.queue.add({ tenantId: "acme", data: {} });
    await waitFor(() => first.status().running === 1);
    await first.close({ graceMs: 50 });
    expect(await violationsAtRest(fixture.queue)).toEqual([]);
    const attempts: number[] = [];
    await fixture.worker({
      handler: ({ attempt }) => {
        attempts.push(attempt);
        return Promise.resolve(1);
      },
    });
    await waitFor(async () => (await fixture.queue.get(taskId))?.state === "completed");
    expect(attempts).toEqual([1]);
  });

  it("starts a delayed task when it is due, and puts a deferred one back for as long as it asks", async () => {
    const startedAt: number[] = [];
    await fixture.worker({
      handler: (_, { defer }) => {
        startedAt.push(Date.now());
        if (startedAt.length === 1) defer(300);
        return Promise.resolve(1);
      },
    });
    const addedAt = Date.now();
    const { taskId } = await fixture.queue.add({ tenantId: "acme", data: {}, delayMs: 400 });
    await waitFor(async () => (await fixture.queue.get(taskId))?.state === "completed");
    expect(startedAt).toHaveLength(2);
    expect((startedAt[0] ?? 0) - addedAt).toBeGreaterThanOrEqual(400);
    expect((startedAt[1] ?? 0) - (startedAt[0] ?? 0)).toBeGreaterThanOrEqual(290);
    expect((await fixture.queue.get(taskId))?.attemptsMade).toBe(1);
  });
});
