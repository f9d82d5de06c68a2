import { silentLogger } from "@millrace/core";
import { waitFor } from "@millrace/core/testing";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createQueue, type Queue } from "../../src/queue.ts";
import { createQueueWorker } from "../../src/worker/queue-worker.ts";
import { type Data, type Fixture, openFixture } from "../support/fixture.ts";
import { violationsAtRest } from "../support/violations-at-rest.ts";

describe("a task that decomposes into others", () => {
  let fixture: Fixture;
  let writers: Queue<Data>;
  const make = (role: string, tag: "shared" | "per-queue") =>
    createQueue<Data>({
      connection: fixture.client,
      prefix: fixture.prefix,
      role,
      tag,
      tenants: fixture.tenants,
      logger: silentLogger,
      metrics: new Registry(),
      depthIntervalMs: 0,
      retryBackoffMs: 10,
    });

  beforeEach(async () => {
    fixture = await openFixture({ role: "activity-planner", tag: "shared" });
    writers = make("copywriter", "shared");
    await writers.start();
  });
  afterEach(async () => {
    await writers.obliterate();
    await writers.close();
    await fixture.close();
  });

  it("runs them urgently through their own gate, holds no slot meanwhile and reads what they gave", async () => {
    let planned = 0;
    let highest = 0;
    let running = 0;
    const priorities: number[] = [];
    await fixture.worker({
      handler: async ({ taskId }, { children }) => {
        planned++;
        for (let key = 0; key < 6; key++) {
          await children.add(writers, { key: `c${key}`, data: { key, taskId }, attempts: 1 });
        }
        return await children.results();
      },
    });
    const worker = createQueueWorker<Data>({
      queue: writers,
      logger: silentLogger,
      metrics: new Registry(),
      concurrency: 10,
      handler: async ({ data }) => {
        highest = Math.max(highest, ++running);
        await new Promise((resolve) => setTimeout(resolve, 20));
        running--;
        if (data["key"] === 5) throw new Error("no words");
        return { words: data["key"] };
      },
    });
    worker.on("task:completed", ({ taskId }) => {
      void writers.bullmq.getJob(taskId).then((job) => priorities.push(job?.priority ?? 0));
    });
    await worker.start();
    const { taskId } = await fixture.queue.add({ tenantId: "acme", data: {} });
    await waitFor(async () => (await fixture.queue.get(taskId))?.state === "waiting-children");
    await waitFor(async () => (await fixture.queue.gate.depths(["acme"]))[0]?.held === 0);
    const view = await waitFor(async () => {
      const found = await fixture.queue.get(taskId);
      return found?.state === "completed" ? found : undefined;
    });
    expect(view.result).toEqual({
      completed: Object.fromEntries([0, 1, 2, 3, 4].map((key) => [`c${key}`, { words: key }])),
      failed: { c5: "no words" },
    });
    expect(planned).toBe(2);
    expect(highest).toBe(2);
    expect(new Set(priorities)).toEqual(new Set([1]));
    expect(view.attemptsMade).toBe(1);
    await worker.close();
    expect(await violationsAtRest(fixture.queue)).toEqual([]);
    expect(await violationsAtRest(writers)).toEqual([]);
  });

  it("refuses children under another hash tag before anything is added", async () => {
    const elsewhere = make("copywriter", "per-queue");
    await elsewhere.start();
    await fixture.worker({
      handler: (_, { children }) => children.add(elsewhere, { key: "a", data: {} }),
    });
    const { taskId } = await fixture.queue.add({ tenantId: "acme", data: {}, attempts: 1 });
    await waitFor(async () => (await fixture.queue.get(taskId))?.state === "failed");
    expect((await fixture.queue.get(taskId))?.failedReason).toMatch(/no common hash tag/);
    await elsewhere.obliterate();
    await elsewhere.close();
  });
});
