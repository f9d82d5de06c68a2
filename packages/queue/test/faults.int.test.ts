import { spawn } from "node:child_process";
import { once } from "node:events";
import { silentLogger } from "@millrace/core";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { startRedis } from "@millrace/services";
import { Redis } from "ioredis";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { createQueue } from "../src/queue.ts";
import { assertRedisFits } from "../src/redis-client.ts";
import { createScheduler } from "../src/scheduler.ts";
import { createTenantStore } from "../src/tenants/tenant-store.ts";
import { createQueueWorker } from "../src/worker/queue-worker.ts";
import { openFixture } from "./support/fixture.ts";
import { redisService } from "./support/redis.ts";
import { violationsAtRest } from "./support/violations-at-rest.ts";

const WORKER = new URL("./fixtures/kill-worker.ts", import.meta.url).pathname;

describe("when Redis misbehaves", () => {
  it("goes on after forgotten scripts, killed connections and a restart, and loses nothing", async () => {
    await using redis = await startRedis({
      settings: { appendonly: "yes", appendfsync: "always" },
    });
    const client = new Redis(redis.url, { maxRetriesPerRequest: null, retryStrategy: () => 100 });
    client.on("error", () => {});
    const fixture = await openFixture({}, client);
    const done = new Set<string>();
    const worker = await fixture.worker({
      concurrency: 4,
      lockDurationMs: 1_000,
      stalledIntervalMs: 300,
      reconcileIntervalMs: 200,
      handler: async ({ taskId }) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        done.add(taskId);
        return 1;
      },
    });
    const add = async (from: number) => {
      for (let index = from; index < from + 40; index++) {
        await fixture.queue.add({ tenantId: `t${index % 8}`, data: {}, jobId: `j${index}` });
      }
    };
    await add(0);
    await client.script("FLUSH");
    await add(40);
    await client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await add(80);
    await redis.kill();
    await redis.start();
    await add(120);
    await waitFor(() => done.size === 160, { timeoutMs: 20_000 });
    await waitFor(async () => (await fixture.queue.gate.activeTenants()).length === 0, {
      timeoutMs: 20_000,
    });
    expect(await violationsAtRest(fixture.queue)).toEqual([]);
    expect(worker.health()).toEqual({ healthy: true });
    await fixture.close();
  });

  it("says that Redis is away and waits for it, but neither in a start that is stopped nor in a close", async () => {
    await using redis = await startRedis();
    const { hostname, port } = new URL(redis.url);
    const logger = createMemoryLogger();
    const create = () =>
      createTenantStore({
        connection: { host: hostname, port: Number(port) },
        plans: { free: { roles: {} } },
        logger,
      });
    await redis.kill();
    const stopped = create();
    const stoppedStart = stopped.start().catch((error: unknown) => error);
    await waitFor(() => logger.lines.length > 0);
    expect(logger.lines[0]).toMatchObject({
      level: "warn",
      message: expect.stringContaining(`no Redis at ${hostname}:${port} (connect ECONNREFUSED`),
    });
    await stopped.close();
    expect(await stoppedStart).toMatchObject({ code: "START_ABORTED" });

    const waiting = create();
    const started = waiting.start();
    await redis.start();
    await started;
    expect(await waiting.list()).toEqual([]);
    await redis.kill();
    await waitFor(() => !waiting.health().healthy);
    await waiting.close();
    expect(waiting.state).toBe("closed");
  });

  it("closes a worker and a scheduler while Redis is away, what runs included, within the grace", async () => {
    await using redis = await startRedis();
    const { hostname, port } = new URL(redis.url);
    const connection = { host: hostname, port: Number(port) };
    const quiet = { logger: silentLogger, metrics: new Registry() };
    const plans = { free: { roles: { "*": {} } } };
    const tenants = createTenantStore({
      connection,
      plans,
      defaultPlan: "free",
      logger: silentLogger,
    });
    const queue = createQueue({ ...quiet, connection, role: "writer", tenants });
    const handler = (_: unknown, { signal }: { signal: AbortSignal }) => once(signal, "abort");
    const busy = createQueueWorker({ ...quiet, queue, handler });
    const idle = createQueueWorker({ ...quiet, queue, handler });
    const scheduler = createScheduler({ queue, logger: silentLogger });
    for (const part of [tenants, queue, busy, scheduler]) await part.start();
    await queue.add({ tenantId: "acme", data: {} });
    await waitFor(() => busy.status().running === 1);
    await idle.start();
    await redis.kill();
    await waitFor(() => !queue.health().healthy);
    for (const part of [scheduler, idle, busy, queue, tenants]) {
      await part.close({ graceMs: 100 });
      expect(part.state).toBe("closed");
    }
  });

  it("refuses to start on a Redis that may evict jobs, unless told that this is fine", async () => {
    await using redis = await startRedis({ settings: { "maxmemory-policy": "allkeys-lru" } });
    const client = new Redis(redis.url);
    await expect(assertRedisFits(client, { allowEviction: false })).rejects.toMatchObject({
      code: "QUEUE_REDIS_EVICTS",
    });
    await assertRedisFits(client, { allowEviction: true });
    client.disconnect();
  });
});

describe("a worker process that is told to stop", () => {
  it("ends with code 0 within its grace period, and what it ran is not stalled", async () => {
    const fixture = await openFixture();
    await fixture.queue.addBulk(
      Array.from({ length: 200 }, (_, index) => ({ tenantId: `t${index % 10}`, data: {} })),
    );
    const child = spawn(
      process.execPath,
      ["--conditions=@millrace/source", WORKER, redisService.url, fixture.prefix, "10"],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await once(child.stdout, "data");
    const completed = async () =>
      (await fixture.queue.bullmq.getJobCounts("completed"))["completed"] ?? 0;
    await waitFor(async () => (await completed()) > 10);
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    expect(await gone).toEqual([0, null]);
    expect(await fixture.queue.status()).toMatchObject({ running: 0 });
    expect(await violationsAtRest(fixture.queue)).toEqual([]);
    const entries = await fixture.client.xrange(`${fixture.queue.keys.bullmq}events`, "-", "+");
    expect(entries.filter(([, fields]) => fields[1] === "stalled")).toEqual([]);
    const worker = await fixture.worker({ concurrency: 10 });
    await waitFor(async () => (await completed()) === 200);
    expect(worker.status().failed).toBe(0);
    await fixture.client.del(`${fixture.prefix}:log`);
    await fixture.close();
  });
});
