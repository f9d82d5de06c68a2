import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createPressure, silentLogger } from "@millrace/core";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { Registry } from "prom-client";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { desiredWorkersEndpoint } from "../../src/desired-workers-endpoint.ts";
import { findViolations } from "../../src/gate/invariants.ts";
import type { Queue } from "../../src/queue.ts";
import type { TenantStore } from "../../src/tenants/tenant-store.ts";
import { createMemoryBackend, type MemoryBackend } from "../../src/testing/memory-backend.ts";
import { createQueueWorker } from "../../src/worker/queue-worker.ts";
import type { QueueWorkerOptions } from "../../src/worker/worker-options.ts";

type Data = Record<string, unknown>;

const quiet = { logger: silentLogger, metrics: new Registry() };
const NEW_YEAR = Date.UTC(2026, 0, 1);

describe("the backend in memory", () => {
  let backend: MemoryBackend;
  let tenants: TenantStore;
  let queue: Queue<Data>;
  beforeEach(async () => {
    backend = createMemoryBackend({ startAt: NEW_YEAR });
    tenants = backend.createTenantStore({
      plans: { basic: { roles: { "*": { maxConcurrent: 2 } } } },
      defaultPlan: "basic",
    });
    queue = backend.createQueue<Data>({ role: "copywriter", tenants, ...quiet });
    await tenants.start();
    await queue.start();
  });
  const work = async (
    handler: QueueWorkerOptions<Data, unknown>["handler"],
    options: Partial<QueueWorkerOptions<Data, unknown>> = {},
  ) => {
    const worker = backend.createQueueWorker<Data>({
      queue,
      handler,
      ...quiet,
      ...options,
    });
    await worker.start();
    return worker;
  };
  const add = async (data: Data = {}, more: object = {}) =>
    (await queue.add({ tenantId: "acme", data, ...more })).taskId;
  const sinceStart = () => backend.clock.now() - NEW_YEAR;

  it("stands still until its clock is moved, and does what comes due at its very time", async () => {
    const starts: Array<[string, number]> = [];
    await work(async ({ data, attempt }) => {
      starts.push([String(data["name"]), sinceStart()]);
      if (data["name"] === "retry" && attempt < 3) throw new Error("not yet");
    });
    const retried = await add({ name: "retry" }, { attempts: 3 });
    await add({ name: "late" }, { delayMs: 2_500 });
    await backend.settled();
    expect(starts).toEqual([["retry", 0]]);
    await backend.clock.advance(2_999);
    // The whole backoff, and twice as much after that.
    expect(starts.slice(1)).toEqual([
      ["retry", 1_000],
      ["late", 2_500],
    ]);
    await backend.clock.advance(1);
    expect(starts.at(-1)).toEqual(["retry", 3_000]);
    expect((await queue.get(retried))?.state).toBe("completed");
    expect(() => backend.clock.advance(-1)).toThrow(TypeError);
    expect(sinceStart()).toBe(3_000);
  });

  it("waits for handlers that do input and output of their own", async () => {
    const server = createServer((_, response) => setTimeout(() => response.end("words"), 20));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await work(async () => (await fetch(`http://127.0.0.1:${port}`)).text(), { concurrency: 1 });
    const tasks = [await add(), await add(), await add()];
    await backend.settled();
    for (const taskId of tasks) {
      expect(await queue.get(taskId)).toMatchObject({ state: "completed", result: "words" });
    }
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });

  it("goes along with the fake timers of a test runner", async () => {
    vi.useFakeTimers({ now: NEW_YEAR });
    try {
      await work(async () => new Promise((resolve) => setTimeout(() => resolve(Date.now()), 500)));
      const taskId = await add({}, { delayMs: 1_000 });
      for (const ms of [1_000, 500]) {
        vi.advanceTimersByTime(ms);
        await backend.clock.advance(ms);
      }
      await backend.settled();
      expect(await queue.get(taskId)).toMatchObject({ result: NEW_YEAR + 1_500 });
    } finally {
      vi.useRealTimers();
    }
  });

  it("turns the month in the tenant's time zone", async () => {
    await tenants.set("acme", {
      plan: "basic",
      roles: { copywriter: { monthlyTaskLimit: 1 } },
      timezone: "Europe/Berlin",
    });
    await add();
    await expect(add()).rejects.toMatchObject({ code: "QUEUE_QUOTA_EXCEEDED" });
    // January ends in Berlin an hour before it does in London.
    await backend.clock.advance(Date.UTC(2026, 0, 31, 22, 59, 59) - backend.clock.now());
    await expect(add()).rejects.toMatchObject({ code: "QUEUE_QUOTA_EXCEEDED" });
    await backend.clock.advance(1_000);
    await add();
  });

  it("ticks its schedules by the wall clock of their zone, and tells of refused ones", async () => {
    const logger = createMemoryLogger();
    const scheduler = backend.createScheduler({ queue, logger });
    await scheduler.start();
    const ticks: number[] = [];
    await work(async ({ taskId }) => ticks.push(Number(taskId.split("|")[2])));
    const time = { cron: "0 9 * * *", timezone: "Europe/Berlin" };
    await scheduler.upsert("daily", time, { tenantId: "acme", data: {} });
    await backend.clock.advance(90 * 24 * 3_600_000);
    const hours = new Set(ticks.map((tick) => new Date(tick).getUTCHours()));
    expect(ticks).toHaveLength(90);
    // Summer time begins on 29 March.
    expect(hours).toEqual(new Set([8, 7]));
    await tenants.set("acme", { plan: "basic", roles: { copywriter: { isEnabled: false } } });
    await backend.clock.advance(24 * 3_600_000);
    expect(logger.lines).toMatchObject([
      { level: "warn", message: "scheduled task refused", fields: { scheduleId: "daily" } },
    ]);
    await scheduler.close();
    await backend.clock.advance(24 * 3_600_000);
    expect(logger.lines).toHaveLength(1);
  });

  it("forgets what has finished after as long as the queue keeps it", async () => {
    const brief = backend.createQueue<Data>({
      role: "brief",
      tenants,
      keepCompletedSeconds: 60,
      ...quiet,
    });
    await brief.start();
    const run = () => brief.add({ tenantId: "acme", data: {} });
    await work(async () => 1, { queue: brief });
    const first = await run();
    await backend.clock.advance(30_000);
    const second = await run();
    await backend.clock.advance(30_000);
    await run();
    await backend.settled();
    expect(await brief.get(first.taskId)).toBeUndefined();
    expect(await brief.get(second.taskId)).toMatchObject({ state: "completed" });
  });

  it("takes nothing while the pressure is closed", async () => {
    let load = 1;
    const pressure = createPressure({
      sources: [{ name: "load", utilisation: () => load }],
      intervalMs: 5,
      ...quiet,
    });
    await pressure.start();
    await waitFor(() => pressure.pressure === "closed");
    const worker = await work(async () => 1, { pressure });
    const taskId = await add();
    await backend.settled();
    expect(await queue.get(taskId)).toMatchObject({ state: "prioritized" });
    expect(worker.health().healthy).toBe(false);
    load = 0;
    await waitFor(async () => (await queue.get(taskId))?.state === "completed");
    await pressure.close();
  });

  it("runs more at once when it is told to", async () => {
    const release: Array<() => void> = [];
    await tenants.set("acme", { plan: "basic", roles: { copywriter: { maxConcurrent: 50 } } });
    const worker = await work(() => new Promise<void>((resolve) => release.push(resolve)), {
      concurrency: 1,
    });
    for (let n = 0; n < 40; n++) await add();
    await backend.clock.advance(0);
    expect(worker.status().running).toBe(1);
    worker.setConcurrency(30);
    await backend.clock.advance(0);
    expect(worker.status().running).toBe(30);
    while (worker.status().running > 0) {
      release.shift()?.();
      await backend.clock.advance(0);
    }
    expect(worker.status().completed).toBe(40);
  });

  it("tells an autoscaler what it wants, and scrapers what it has", async () => {
    const metrics = new Registry();
    const metered = backend.createQueue<Data>({ role: "metered", tenants, metrics });
    await metered.start();
    await metered.addBulk(
      Array.from({ length: 5 }, () => ({ tenantId: "acme", data: {}, attempts: 1 })),
    );
    expect(await metrics.metrics()).toContain(
      'millrace_queue_staged_tasks{role="metered",tenant="acme"} 3',
    );
    const endpoint = desiredWorkersEndpoint([metered], { concurrency: 1 });
    const answer = await endpoint(new Request("http://control.test/desired"));
    expect(await answer.json()).toEqual({ desiredWorkers: 2, roles: { metered: 2 } });
  });

  it("says what only Redis has, and refuses what another backend made", async () => {
    const redisOnly = expect.objectContaining({ code: "QUEUE_REDIS_ONLY" });
    expect(() => queue.bullmq).toThrow(redisOnly);
    expect(() => queue.gate).toThrow(redisOnly);
    expect(() => queue.client).toThrow(redisOnly);
    await expect(queue.partitionOf("acme")).rejects.toEqual(redisOnly);
    await expect(queue.partitionHolding("x")).rejects.toEqual(redisOnly);
    await expect(findViolations(queue)).rejects.toEqual(redisOnly);
    const real = createQueueWorker<Data>({ queue, handler: async () => 1, ...quiet });
    await expect(real.start()).rejects.toEqual(redisOnly);
    expect(await queue.reconcile()).toEqual({ freed: 0, dropped: 0, staged: 0 });
    expect(await queue.rebalance()).toEqual({ moved: 0, waiting: 0 });
    const other = createMemoryBackend();
    const invalid = expect.objectContaining({ code: "CONFIG_INVALID" });
    expect(() => other.createQueue({ role: "r", tenants })).toThrow(invalid);
    const handler = async () => 1;
    expect(() => other.createQueueWorker({ queue, handler })).toThrow(invalid);
    expect(() => other.createScheduler({ queue })).toThrow(invalid);
    const callbacks = {
      queues: [queue as Queue],
      secret: "x".repeat(24),
      baseUrl: "http://a.test",
    };
    expect(() => other.createCallbacks(callbacks)).toThrow(invalid);
    expect(() => other.createEventHub({ keepEvents: 0 })).toThrow(invalid);
    expect(() => createMemoryBackend({ startAt: Number.NaN })).toThrow(invalid);
  });
});
