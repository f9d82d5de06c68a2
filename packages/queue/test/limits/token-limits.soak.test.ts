import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { waitFor } from "@millrace/core/testing";
import { silentLogger } from "@millrace/core";
import { Worker } from "bullmq";
import type { Redis } from "ioredis";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createEventHub } from "../../src/events/event-hub.ts";
import type { OpenPartition } from "../../src/partitions/queue-partition.ts";
import { type Fixture, openFixture } from "../support/fixture.ts";
import { redisService } from "../support/redis.ts";
import { violationsAtRest } from "../support/violations-at-rest.ts";

const AWAITING_WORKER = new URL("../fixtures/awaiting-worker.ts", import.meta.url).pathname;
const isSoak = process.env["MILLRACE_SOAK"] === "1";
const percentile = (values: number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;
const round = (value: number) => Number(value.toFixed(2));
/** Linux only, as are these figures. */
const residentMib = (pid: number | undefined) =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

/** Figures are printed, not asserted: they say something about the machine, too. */
describe("a queue at its sizes", () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await openFixture();
  });
  afterEach(() => fixture.close(), 300_000);
  it("takes tasks with a great many staged", async () => {
    const staged = isSoak ? 1_000_000 : 200_000;
    for (let from = 0; from < staged; from += 1_000) {
      const added = await fixture.queue.addBulk(
        Array.from({ length: 1_000 }, (_, index) => ({ tenantId: `t${index % 100}`, data: {} })),
      );
      expect(added.some((task) => task instanceof Error)).toBe(false);
    }
    const took: number[] = [];
    for (let index = 0; index < 2_000; index++) {
      const startedAt = performance.now();
      await fixture.queue.add({ tenantId: `t${index % 100}`, data: {} });
      took.push(performance.now() - startedAt);
    }
    const status = await fixture.queue.status();
    expect(status.staged + status.admitted).toBe(staged + 2_000);
    const memory = await (fixture.client as Redis).info("memory");
    const usedBytes = Number(/^used_memory:(\d+)/m.exec(memory)?.[1]);
    const reconcileStartedAt = performance.now();
    const partition = fixture.queue.partitions[0] as OpenPartition;
    expect(await partition.reconcile(false)).toEqual({ freed: 0, dropped: 0, staged: 0 });
    console.log({
      staged,
      addP50Ms: round(percentile(took, 0.5)),
      addP99Ms: round(percentile(took, 0.99)),
      redisMiB: round(usedBytes / 1024 / 1024),
      redisBytesPerTask: Math.round(usedBytes / staged),
      usualReconcileMs: round(performance.now() - reconcileStartedAt),
    });
  }, 900_000);

  it("serves five thousand clients of events from one process, each event to each", async () => {
    const hub = createEventHub({
      connection: fixture.client,
      prefix: fixture.prefix,
      logger: silentLogger,
      metrics: new Registry(),
    });
    await hub.start();
    const took: number[] = [];
    let received = 0;
    const clients = 5_000;
    for (let client = 0; client < clients; client++) {
      const response = await hub.sse(`t${client % 250}`);
      const reader = response.body?.getReader();
      const decoder = new TextDecoder();
      void (async () => {
        for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
          const sent = /"at":([\d.]+)/.exec(decoder.decode(part.value))?.[1];
          if (sent === undefined) continue;
          received++;
          took.push(performance.now() - Number(sent));
        }
      })();
    }
    const events = 2_000;
    for (let index = 0; index < events; index++) {
      await hub.publish(`t${index % 250}`, { type: "x", data: { at: performance.now() } });
      // A hundred a second: two thousand deliveries a second.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await waitFor(() => received === events * (clients / 250), { timeoutMs: 30_000 });
    console.log({
      clients,
      received,
      p50Ms: round(percentile(took, 0.5)),
      p99Ms: round(percentile(took, 0.99)),
    });
    await hub.close();
  }, 120_000);

  it("keeps ten thousand tasks awaiting in a process that is told to stay small", async () => {
    const count = 10_000;
    await awaitMany(fixture, count);
    const flags = ["--max-semi-space-size=2", "--optimize-for-size"];
    console.log({ awaiting: count, flags, ...(await memoryWhileAwaiting(fixture, count, flags)) });
  }, 240_000);

  it("keeps ten thousand tasks awaiting with one worker of concurrency 4, and reconciles their slots in slices", async () => {
    const count = 10_000;
    const { queue } = fixture;
    const client = fixture.client as Redis;
    await awaitMany(fixture, count);
    const memory = await memoryWhileAwaiting(fixture, count, []);
    await client.config("SET", "slowlog-log-slower-than", "0");
    await client.config("SET", "slowlog-max-len", "200000");
    await client.slowlog("RESET");
    expect(await queue.reconcile()).toEqual({ freed: 0, dropped: 0, staged: 0 });
    const log = (await client.slowlog("GET", 200_000)) as Array<[number, number, number, string[]]>;
    await client.config("SET", "slowlog-log-slower-than", "10000");
    const slices = log
      .filter(([, , , args]) => args[0] === "evalsha")
      .map(([, , micros]) => micros);
    expect(slices.length).toBeGreaterThan(20);
    const total = slices.reduce((sum, micros) => sum + micros, 0) / 1_000;
    console.log({
      awaiting: count,
      ...memory,
      reconcileSlices: slices.length,
      reconcileTotalMs: round(total),
      reconcileLongestMs: round(Math.max(...slices) / 1_000),
    });
    expect(await violationsAtRest(queue)).toEqual([]);
  }, 240_000);

  it("asks Redis for little while it has nothing to do", async () => {
    const seconds = 12;
    // What scripts do inside is not a command that somebody sent.
    const monitor = await (fixture.client as Redis).monitor();
    let sent = 0;
    monitor.on("monitor", (_time: string, _args: string[], source: string) => {
      if (source !== "lua") sent++;
    });
    const idle = async () => {
      sent = 0;
      await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
      return sent / seconds;
    };
    const raw = new Worker("raw", () => Promise.resolve(), {
      connection: fixture.client,
      prefix: `{${fixture.prefix}:raw}`,
    });
    await raw.waitUntilReady();
    const rawPerSecond = await idle();
    await raw.close();
    const worker = await fixture.worker({});
    const ours = await idle();
    expect(worker.status().running).toBe(0);
    monitor.disconnect();
    console.log({ rawCommandsPerSecond: round(rawPerSecond), commandsPerSecond: round(ours) });
  }, 60_000);
});

/** Adds tasks of one tenant that may all await their callbacks at once. */
async function awaitMany(fixture: Fixture, count: number): Promise<void> {
  const { queue } = fixture;
  await fixture.allow("acme", { maxConcurrent: count });
  for (let from = 0; from < count; from += 1_000) {
    await queue.addBulk(Array.from({ length: 1_000 }, () => ({ tenantId: "acme", data: {} })));
  }
}

/**
 * Lets one worker process bring `count` tasks to where they await their callbacks: how its memory grew,
 * and what of its heap lives before and after, in MiB.
 */
async function memoryWhileAwaiting({ queue, prefix }: Fixture, count: number, flags: string[]) {
  const child = spawn(
    process.execPath,
    [
      ...flags,
      "--expose-gc",
      "--conditions=@millrace/source",
      AWAITING_WORKER,
      redisService.url,
      prefix,
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const liveHeapMib = async () => {
    const [told] = (await once(child.stdout, "data")) as [Buffer];
    return round(Number(told.toString()) / 1024 / 1024);
  };
  try {
    const liveHeapBefore = await liveHeapMib();
    const before = residentMib(child.pid);
    await waitFor(async () => (await queue.status()).delayed === count, {
      timeoutMs: 120_000,
      intervalMs: 200,
    });
    const rssGrowth = round(residentMib(child.pid) - before);
    child.stdin.write("?");
    const liveHeapAfter = await liveHeapMib();
    // A task that awaits is no object here: ten thousand of them would show.
    expect(liveHeapAfter - liveHeapBefore).toBeLessThan(10);
    return { rssGrowthMiB: rssGrowth, liveHeapBefore, liveHeapAfter };
  } finally {
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }
}
