import { MillraceError } from "@millrace/core";
import { createMemoryLogger } from "@millrace/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { code, type Data, held, type OpenBackend, System } from "./backend.ts";

export function tasksContract(open: OpenBackend): void {
  describe("tasks", () => {
    let system: System;
    const until = <Result>(condition: () => Result | Promise<Result>) =>
      system.backend.until(condition);
    beforeEach(async () => {
      const input = z.object({ topic: z.string().optional() }).loose();
      system = await System.open(await open(), { input });
    });
    afterEach(() => system.close());

    it("run once and can be read while they are kept", async () => {
      const { queue } = system;
      const addedAt = system.backend.now();
      const added = await queue.add({ tenantId: "acme", data: { topic: "a" }, jobId: "one" });
      expect(added).toEqual({ taskId: "one", isDuplicate: false });
      const waiting = await queue.get("one");
      expect(waiting).toMatchObject({ state: "prioritized", result: null, attemptsMade: 0 });
      expect(waiting?.failedReason).toBeUndefined();
      const starts: number[] = [];
      const worker = await system.worker(async ({ fence }) => {
        starts.push(fence);
        return { words: 3, at: new Date(0) };
      });
      const done = await system.reaches("one", "completed");
      expect(done).toMatchObject({
        taskId: "one",
        tenantId: "acme",
        data: { topic: "a" },
        result: { words: 3, at: "1970-01-01T00:00:00.000Z" },
        attemptsMade: 1,
      });
      expect(done.addedAt).toBeGreaterThanOrEqual(addedAt);
      expect(starts).toEqual([1]);
      await until(() => worker.status().running === 0);
      expect(worker.status()).toEqual({
        completed: 1,
        failed: 0,
        retried: 0,
        parked: 0,
        deferred: 0,
        cancelled: 0,
        running: 0,
      });
      expect(await queue.get("nobody")).toBeUndefined();
      await queue.add({ tenantId: "acme", data: {}, jobId: "nothing" });
      await until(async () => (await queue.get("nothing"))?.state === "completed");
    });

    it("tell their handler who they are, what they may use and how to log", async () => {
      await system.allow("acme", { modelOverride: "large", maxConcurrent: 1 });
      const logger = createMemoryLogger();
      const seen: unknown[] = [];
      await system.worker(
        async (task, context) => {
          const { allocation, ...rest } = task;
          seen.push(rest, allocation.modelOverride, allocation.plan, context.signal.aborted);
          context.logger.info("hello");
          await context.progress({ percent: 50 });
        },
        { logger },
      );
      const taskId = await system.add({ topic: "a" }, { labels: { campaignId: "c1" } });
      const done = await system.reaches(taskId, "completed");
      expect(done.result).toBeNull();
      const rest = {
        taskId,
        tenantId: "acme",
        role: "copywriter",
        data: { topic: "a" },
        attempt: 1,
        fence: 1,
        labels: { campaignId: "c1" },
        traceparent: undefined,
      };
      expect(seen).toEqual([rest, "large", "basic", false]);
      expect(logger.lines.find(({ message }) => message === "hello")?.fields).toMatchObject({
        tenantId: "acme",
        taskId,
        agentRole: "copywriter",
        campaignId: "c1",
      });
    });

    it("show what their handler reported last, also after a run that failed", async () => {
      const { handler, goOn, waiting } = held();
      await system.worker(async (task, { progress }) => {
        if (task.attempt === 1) {
          await progress(20);
          await progress({ step: "outline", at: new Date(0) });
        }
        await handler(task);
        if (task.attempt === 1) throw new Error("once");
      });
      const taskId = await system.add({}, { delayMs: 10, attempts: 2 });
      expect((await system.queue.get(taskId))?.progress).toBe(0);
      const reported = { step: "outline", at: "1970-01-01T00:00:00.000Z" };
      for (let run = 0; run < 2; run++) {
        await until(() => waiting.length === 1);
        expect((await system.queue.get(taskId))?.progress).toEqual(reported);
        goOn();
      }
      expect((await system.reaches(taskId, "completed")).progress).toEqual(reported);
    });

    it("are refused with a code and leave nothing behind", async () => {
      const { queue } = system;
      await queue.add({ tenantId: "other", data: {}, jobId: "taken" });
      await system.allow("off", { isEnabled: false });
      await system.allow("full", { maxConcurrent: 1, maxStaged: 2 });
      await system.allow("month", { monthlyTaskLimit: 2 });
      const add = (tenantId: string, more: object = {}) =>
        queue.add({ tenantId, data: {}, ...more });
      await expect(add("acme", { jobId: "taken" })).rejects.toEqual(code("QUEUE_JOB_ID_TAKEN"));
      await expect(add("acme", { data: { topic: 5 } })).rejects.toEqual(
        code("QUEUE_INPUT_INVALID"),
      );
      await expect(add("off")).rejects.toEqual(code("QUEUE_TENANT_DISABLED"));
      await expect(add("a|b")).rejects.toEqual(code("CONFIG_INVALID"));
      const wrong: object[] = [
        ...[0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY].flatMap((number) => [
          { attempts: number },
          { deduplication: { key: "k", windowMs: number } },
        ]),
        { delayMs: Number.NaN },
        { delayMs: Number.POSITIVE_INFINITY },
        ...["", "12", "a:b", "meta", "delayed", "stalled-check"].map((jobId) => ({ jobId })),
        { priority: "low" },
      ];
      const outcomes = await Promise.allSettled(wrong.map((more) => add("acme", more)));
      expect(outcomes).toEqual(
        wrong.map(() => ({ status: "rejected", reason: code("CONFIG_INVALID") })),
      );
      expect(await queue.get("delayed")).toBeUndefined();
      expect(await queue.cancel("meta")).toBe(false);
      await expect(queue.deadLetters.redrive("delayed")).rejects.toEqual(
        code("QUEUE_TASK_NOT_FOUND"),
      );
      const bulk = (tenantId: string, size: number) =>
        queue.addBulk(Array.from({ length: size }, () => ({ tenantId, data: {} })));
      const full = await bulk("full", 6);
      expect(full.filter((one) => one instanceof Error)).toEqual(
        Array.from({ length: 3 }, () => code("QUEUE_STAGED_FULL")),
      );
      const month = await bulk("month", 20);
      expect(month.slice(2)).toEqual(
        Array.from({ length: 18 }, () => code("QUEUE_QUOTA_EXCEEDED")),
      );
      const { staged, admitted } = await queue.status();
      expect(staged + admitted).toBe(1 + 3 + 2);
    });

    it("are added once per id, and once per deduplication key and window", async () => {
      const { queue } = system;
      const add = (more: object) =>
        queue.addBulk(Array.from({ length: 50 }, () => ({ tenantId: "acme", data: {}, ...more })));
      const isNew = (one: object) => "isDuplicate" in one && !one.isDuplicate;
      expect((await add({ jobId: "same" })).filter(isNew)).toHaveLength(1);
      const deduplication = { key: "k", windowMs: 400 };
      const startedAt = system.backend.now();
      const byKey = await add({ deduplication });
      expect(byKey.filter(isNew)).toHaveLength(1);
      const first = byKey.map((one) => ("taskId" in one ? one.taskId : ""))[0] ?? "";
      expect(new Set(byKey.map((one) => ("taskId" in one ? one.taskId : "")))).toEqual(
        new Set([first]),
      );
      await system.worker(async () => 1);
      await system.reaches(first, "completed");
      await until(async () => {
        const { isDuplicate } = await queue.add({ tenantId: "acme", data: {}, deduplication });
        return !isDuplicate;
      });
      expect(system.backend.now() - startedAt).toBeGreaterThanOrEqual(390);
      // A key is a tenant's own.
      const other = await queue.add({ tenantId: "other", data: {}, deduplication });
      expect(other.isDuplicate).toBe(false);
    });

    it("start when they are due, and are put off for as long as they ask, without a try", async () => {
      const startedAt: number[] = [];
      const reasons: string[] = [];
      const worker = await system.worker(async (_, { defer }) => {
        startedAt.push(system.backend.now());
        if (startedAt.length === 1) defer(150);
        if (startedAt.length === 2) {
          throw new MillraceError("QUEUE_PROVIDER_RATE_LIMITED", "slow down", {
            details: { waitMs: 100 },
          });
        }
      });
      worker.on("task:put-off", ({ reason }) => reasons.push(reason));
      const addedAt = system.backend.now();
      const taskId = await system.add({}, { delayMs: 200 });
      expect((await system.queue.get(taskId))?.state).toBe("delayed");
      expect(await system.queue.status()).toMatchObject({ staged: 0, delayed: 1 });
      const { attemptsMade } = await system.reaches(taskId, "completed");
      expect(attemptsMade).toBe(1);
      expect(reasons).toEqual(["defer", "defer"]);
      const [first = 0, second = 0, third = 0] = startedAt;
      expect(first - addedAt).toBeGreaterThanOrEqual(200);
      expect(second - first).toBeGreaterThanOrEqual(150);
      expect(third - second).toBeGreaterThanOrEqual(100);
    });

    it("may be put off more often than started", async () => {
      let starts = 0;
      await system.worker(
        async (_, { defer }) => {
          starts++;
          if (starts <= 3) defer(1);
        },
        { maxStarts: 2 },
      );
      const taskId = await system.add();
      await system.reaches(taskId, "completed");
      expect(starts).toBe(4);
    });

    it("are given back at their place and without a try by a worker that closes", async () => {
      const { handler, waiting } = held();
      const first = await system.worker(handler);
      const taskId = await system.add();
      await until(() => waiting.length === 1);
      await first.close({ graceMs: 0 });
      expect(first.status()).toMatchObject({ deferred: 1, running: 0 });
      expect((await system.queue.get(taskId))?.state).toMatch(/delayed|prioritized/);
      const runs: number[][] = [];
      await system.worker(async ({ attempt, fence }) => {
        runs.push([attempt, fence]);
      });
      await system.reaches(taskId, "completed");
      expect(runs).toEqual([[1, 2]]);
    });

    it("go no further in closed components", async () => {
      const { queue, backend, tenants } = system;
      const idle = backend.createQueue<Data>({ role: "idle", tenants });
      await expect(async () => idle.add({ tenantId: "acme", data: {} })).rejects.toEqual(
        code("QUEUE_CLOSED"),
      );
      await expect(system.worker(async () => 1, { queue: idle })).rejects.toEqual(
        code("QUEUE_CLOSED"),
      );
      expect(queue.health()).toEqual({ healthy: true });
      await queue.close();
      await queue.close();
      expect(queue.state).toBe("closed");
      await expect(async () => queue.status()).rejects.toEqual(code("QUEUE_CLOSED"));
      expect(() => backend.createQueue({ role: "a b", tenants })).toThrow(code("CONFIG_INVALID"));
    });
  });
}
