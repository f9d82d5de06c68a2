import { waitFor } from "@millrace/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { findViolations } from "../src/gate/invariants.ts";
import { monthOf } from "../src/tenants/month.ts";
import { type Fixture, openFixture } from "./support/fixture.ts";
import { violationsAtRest } from "./support/violations-at-rest.ts";

const codeOf = (error: unknown) => (error as { code?: string }).code;

describe("adding tasks", () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await openFixture({ input: z.object({ topic: z.string().optional() }).loose() });
  });
  afterEach(() => fixture.close());

  it("accepts exactly a month's tasks out of ten times as many at once", async () => {
    await fixture.allow("acme", { maxConcurrent: 3, monthlyTaskLimit: 20 });
    const outcomes = await fixture.queue.addBulk(
      Array.from({ length: 200 }, () => ({ tenantId: "acme", data: {} })),
    );
    const refused = outcomes.filter((outcome) => outcome instanceof Error);
    expect(refused).toHaveLength(180);
    expect(new Set(refused.map(codeOf))).toEqual(new Set(["QUEUE_QUOTA_EXCEEDED"]));
    const counts = await fixture.queue.bullmq.getJobCounts("delayed", "prioritized");
    expect((counts["delayed"] ?? 0) + (counts["prioritized"] ?? 0)).toBe(20);
    expect(await violationsAtRest(fixture.queue)).toEqual([]);
  });

  it("does not count a retry or a redrive against the quota again", async () => {
    await fixture.allow("acme", { maxConcurrent: 1, monthlyTaskLimit: 2 });
    let failing = true;
    await fixture.worker({
      handler: () => (failing ? Promise.reject(new Error("down")) : Promise.resolve("ok")),
    });
    const { taskId } = await fixture.queue.add({
      tenantId: "acme",
      data: {},
      attempts: 2,
      priority: "urgent",
    });
    const state = async () => (await fixture.queue.get(taskId))?.state;
    for (let round = 0; round < 2; round++) {
      await waitFor(async () => (await state()) === "failed");
      if (round === 1) failing = false;
      await fixture.queue.deadLetters.redrive(taskId);
    }
    await waitFor(async () => (await state()) === "completed");
    const job = await fixture.queue.bullmq.getJob(taskId);
    expect(job).toMatchObject({ id: taskId, priority: 1, data: { tenantId: "acme" } });
    const month = monthOf(Date.now());
    expect(await fixture.client.get(`${fixture.queue.keys.gate}quota:acme:${month}`)).toBe("1");
    await fixture.queue.add({ tenantId: "acme", data: {} });
    await expect(fixture.queue.add({ tenantId: "acme", data: {} })).rejects.toMatchObject({
      code: "QUEUE_QUOTA_EXCEEDED",
    });
    await expect(fixture.queue.deadLetters.redrive("nobody")).rejects.toMatchObject({
      code: "QUEUE_TASK_NOT_FOUND",
    });
  });

  it("runs a dead letter again once, whoever asks at the same time", async () => {
    const { queue } = fixture;
    let isMended = false;
    await fixture.worker({
      handler: () => (isMended ? Promise.resolve(1) : Promise.reject(new Error("down"))),
    });
    const { taskId } = await queue.add({ tenantId: "acme", data: {}, attempts: 1 });
    await waitFor(async () => (await queue.get(taskId))?.state === "failed");
    isMended = true;
    const asked = await Promise.allSettled(
      Array.from({ length: 8 }, () => queue.deadLetters.redrive(taskId)),
    );
    const refused = asked.flatMap((one) => (one.status === "rejected" ? [codeOf(one.reason)] : []));
    expect(refused).toEqual(Array.from({ length: 7 }, () => "QUEUE_TASK_NOT_FOUND"));
    await waitFor(async () => (await queue.get(taskId))?.state === "completed");
    expect((await queue.bullmq.getJob(taskId))?.attemptsStarted).toBe(2);
  });

  it("refuses more waiting tasks than a tenant may have, in bulk too", async () => {
    await fixture.allow("acme", { maxConcurrent: 1, maxStaged: 5 });
    const outcomes = await fixture.queue.addBulk(
      Array.from({ length: 50 }, () => ({ tenantId: "acme", data: {} })),
    );
    expect(outcomes.filter((outcome) => !(outcome instanceof Error))).toHaveLength(6);
    expect(new Set(outcomes.filter((one) => one instanceof Error).map(codeOf))).toEqual(
      new Set(["QUEUE_STAGED_FULL"]),
    );
  });

  it("makes one task of a thousand adds of one id, and of one deduplication key", async () => {
    const byId = await fixture.queue.addBulk(
      Array.from({ length: 500 }, () => ({ tenantId: "acme", data: {}, jobId: "same" })),
    );
    expect(byId.filter((added) => "isDuplicate" in added && !added.isDuplicate)).toHaveLength(1);
    const byKey = await fixture.queue.addBulk(
      Array.from({ length: 500 }, () => ({
        tenantId: "acme",
        data: {},
        deduplication: { key: "campaign-1", windowMs: 60_000 },
      })),
    );
    expect(byKey.filter((added) => "isDuplicate" in added && !added.isDuplicate)).toHaveLength(1);
    expect(new Set(byKey.map((added) => ("taskId" in added ? added.taskId : "error"))).size).toBe(
      1,
    );
    expect(await violationsAtRest(fixture.queue)).toEqual([]);
  });

  it("keeps a deduplication window after the task has finished and is gone", async () => {
    await fixture.worker({});
    const deduplication = { key: "k", windowMs: 60_000 };
    const { taskId } = await fixture.queue.add({ tenantId: "acme", data: {}, deduplication });
    await waitFor(async () => (await fixture.queue.get(taskId))?.state === "completed");
    await fixture.queue.bullmq.clean(0, 100, "completed");
    expect(await fixture.queue.add({ tenantId: "acme", data: {}, deduplication })).toEqual({
      taskId,
      isDuplicate: true,
    });
  });

  it("refuses another tenant's id, bad input, unknown roles and bad tenant ids", async () => {
    await fixture.queue.add({ tenantId: "acme", data: {}, jobId: "mine" });
    await expect(
      fixture.queue.add({ tenantId: "evil", data: {}, jobId: "mine" }),
    ).rejects.toMatchObject({
      code: "QUEUE_JOB_ID_TAKEN",
    });
    await expect(fixture.queue.add({ tenantId: "acme", data: { topic: 5 } })).rejects.toMatchObject(
      {
        code: "QUEUE_INPUT_INVALID",
      },
    );
    await fixture.allow("free", { isEnabled: false });
    await expect(fixture.queue.add({ tenantId: "free", data: {} })).rejects.toMatchObject({
      code: "QUEUE_TENANT_DISABLED",
    });
    await expect(fixture.queue.add({ tenantId: "a|b", data: {} })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
    expect(await violationsAtRest(fixture.queue)).toEqual([]);
  });

  it("fails stored input that no longer fits its schema without running or retrying it", async () => {
    const { queue } = fixture;
    const starts: string[] = [];
    const { taskId } = await queue.add({ tenantId: "acme", data: {} });
    const job = await queue.bullmq.getJob(taskId);
    await job?.updateData({ ...(job.data as object), data: { topic: 5 } });
    await fixture.worker({
      handler: (task) => {
        starts.push(task.taskId);
        return Promise.resolve(1);
      },
    });
    await waitFor(async () => (await queue.get(taskId))?.state === "failed");
    expect(starts).toEqual([]);
    const [letter] = await queue.deadLetters.list();
    expect(letter?.reason).toMatch(/QUEUE_INPUT_INVALID: topic/);
    expect(letter?.attemptsMade).toBe(1);
  });

  it("stages what a producer left behind that died between its two commands", async () => {
    const { queue } = fixture;
    await queue.bullmq.add(
      "copywriter",
      { tenantId: "acme", agentRole: "copywriter", data: {} },
      { jobId: "orphan", priority: 5, delay: 8 * 365 * 24 * 3_600_000 },
    );
    expect(await findViolations(queue)).toEqual([expect.stringContaining("orphan")]);
    const worker = await fixture.worker({ reconcileIntervalMs: 100 });
    await waitFor(() => worker.status().completed === 1);
  });

  it("keeps caps when people promote, retry and remove tasks in a dashboard", async () => {
    const { queue } = fixture;
    let running = 0;
    let highest = 0;
    await fixture.allow("acme", { maxConcurrent: 2 });
    const added = await queue.addBulk(
      Array.from({ length: 30 }, () => ({ tenantId: "acme", data: {} })),
    );
    const ids = added.map((task) => (task instanceof Error ? "" : task.taskId));
    const worker = await fixture.worker({
      concurrency: 10,
      handler: async () => {
        highest = Math.max(highest, ++running);
        await new Promise((resolve) => setTimeout(resolve, 10));
        running--;
        return 1;
      },
    });
    for (const id of ids.slice(10, 20)) {
      await queue.bullmq.getJob(id).then((job) => job?.promote().catch(() => {}));
    }
    let removed = 0;
    for (const id of ids.slice(25)) removed += (await queue.cancel(id)) ? 1 : 0;
    await waitFor(() => worker.status().completed === 30 - removed);
    expect(highest).toBe(2);
    await waitFor(async () => (await queue.gate.activeTenants()).length === 0);
    expect(await violationsAtRest(queue)).toEqual([]);
  });

  it("pauses, resumes and cancels a tenant without touching others", async () => {
    const { queue } = fixture;
    await queue.pauseTenant("acme");
    await queue.addBulk(Array.from({ length: 5 }, () => ({ tenantId: "acme", data: {} })));
    const worker = await fixture.worker({});
    await queue.add({ tenantId: "other", data: {} });
    await waitFor(() => worker.status().completed === 1);
    expect(await queue.status()).toMatchObject({ staged: 5, running: 0 });
    await queue.resumeTenant("acme");
    await waitFor(() => worker.status().completed === 6);
    await queue.pauseTenant("acme");
    await queue.addBulk(Array.from({ length: 4 }, () => ({ tenantId: "acme", data: {} })));
    expect(await queue.cancelTenant("acme")).toBe(4);
    expect(await queue.status()).toMatchObject({ staged: 0, delayed: 0 });
    expect(await violationsAtRest(queue)).toEqual([]);
  });

  it("asks for workers by what may run, not by what waits", async () => {
    const { queue } = fixture;
    await fixture.allow("capped", { maxConcurrent: 2 });
    await queue.addBulk(Array.from({ length: 500 }, () => ({ tenantId: "capped", data: {} })));
    expect(await queue.desiredWorkers({ concurrency: 4 })).toBe(1);
    await fixture.allow("wide", { maxConcurrent: 100 });
    await queue.addBulk(Array.from({ length: 90 }, () => ({ tenantId: "wide", data: {} })));
    expect(await queue.desiredWorkers({ concurrency: 4 })).toBe(23);
    expect(await queue.desiredWorkers({ concurrency: 4, max: 10 })).toBe(10);
  });
});

describe("the month of a quota", () => {
  it("turns in the tenant's time zone", () => {
    const time = Date.UTC(2026, 0, 31, 23, 30);
    expect(monthOf(time)).toBe("202601");
    expect(monthOf(time, "Europe/Berlin")).toBe("202602");
    expect(monthOf(time, "America/New_York")).toBe("202601");
  });
});
