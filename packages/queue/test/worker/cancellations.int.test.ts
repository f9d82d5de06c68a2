import { signWebhook, silentLogger } from "@millrace/core";
import { waitFor } from "@millrace/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CallbackRegistration, createCallbacks } from "../../src/callbacks/callbacks.ts";
import { monthOf } from "../../src/tenants/month.ts";
import { type Fixture, openFixture } from "../support/fixture.ts";
import { connect } from "../support/redis.ts";
import { violationsAtRest } from "../support/violations-at-rest.ts";

const SECRET = "a secret that both sides know";

/** A handler that runs until its signal fires, and tells why it fired. */
function endless() {
  const reasons: unknown[] = [];
  const started: string[] = [];
  const handler = ({ taskId }: { taskId: string }, { signal }: { signal: AbortSignal }) =>
    new Promise<never>((_, reject) => {
      started.push(taskId);
      signal.addEventListener("abort", () => {
        reasons.push(signal.reason);
        reject(new Error("stopped"));
      });
    });
  return { handler, reasons, started };
}

describe("cancelling", () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await openFixture();
  });
  afterEach(() => fixture.close());
  const quota = () =>
    fixture.client.get(`${fixture.queue.keys.gate}quota:acme:${monthOf(Date.now())}`);

  it("fires the signal of a running task in another process's worker, frees its slot and keeps no failure", async () => {
    const { queue } = fixture;
    await fixture.allow("acme", { maxConcurrent: 1, monthlyTaskLimit: 10 });
    const { handler, reasons, started } = endless();
    // A connection of its own, as in another process.
    const other = await openFixture(
      { prefix: fixture.prefix, tenants: fixture.tenants },
      connect(),
    );
    const worker = await other.worker({ handler });
    const failures: boolean[] = [];
    worker.on("task:failed", ({ isFinal }) => failures.push(isFinal));
    const { taskId } = await queue.add({ tenantId: "acme", data: {}, attempts: 5 });
    const { taskId: next } = await queue.add({ tenantId: "acme", data: {} });
    await waitFor(() => started.length === 1);
    expect(await queue.cancel(taskId)).toBe(true);
    await waitFor(async () => (await queue.get(taskId)) === undefined);
    // The slot went to the next one.
    await waitFor(() => started.includes(next));
    expect(reasons).toEqual(["the task was cancelled"]);
    expect(failures).toEqual([true]);
    expect(worker.status()).toMatchObject({ cancelled: 1, failed: 0, retried: 0 });
    expect(await queue.deadLetters.list()).toEqual([]);
    expect(await queue.cancel(taskId)).toBe(false);
    // It had started: it stays counted.
    expect(await quota()).toBe("2");
    await worker.close({ graceMs: 50 });
    await other.queue.close();
    other.client.disconnect();
  });

  it("takes staged, admitted, due, deferred, retrying and awaiting tasks out, and those never taken up off the quota", async () => {
    const { queue } = fixture;
    await fixture.allow("acme", { maxConcurrent: 3, monthlyTaskLimit: 100 });
    const callbacks = createCallbacks({
      queues: [queue],
      secret: SECRET,
      baseUrl: "http://control.test/callbacks",
      logger: silentLogger,
    });
    let registration: CallbackRegistration | undefined;
    const worker = await fixture.worker({
      callbacks,
      handler: async ({ data }, { awaitCallback, defer }) => {
        if (data["kind"] === "defer") defer(60_000);
        if (data["kind"] === "retry") throw new Error("not yet");
        return awaitCallback((given) => {
          registration = given;
          return Promise.resolve();
        });
      },
    });
    const add = async (kind: string, more = {}) =>
      (await queue.add({ tenantId: "acme", data: { kind }, ...more })).taskId;
    const awaiting = await add("await");
    const deferred = await add("defer");
    await waitFor(() => registration !== undefined && worker.status().deferred === 1);
    await worker.close({ graceMs: 50 });
    const due = await add("plain", { delayMs: 60_000 });
    const admitted = await add("plain");
    const staged = await Promise.all(Array.from({ length: 4 }, () => add("plain")));
    expect(await quota()).toBe("8");
    const all = [awaiting, deferred, due, admitted, ...staged];
    for (const taskId of [awaiting, admitted, due]) expect(await queue.cancel(taskId)).toBe(true);
    expect(await queue.cancelTenant("acme")).toBe(5);
    for (const taskId of all) {
      expect(await queue.get(taskId)).toBeUndefined();
      expect(await queue.cancel(taskId)).toBe(false);
    }
    expect(await queue.cancelTenant("acme")).toBe(0);
    // The two that a worker had taken up stay counted.
    expect(await quota()).toBe("2");
    const body = '{"ok":true}';
    const headers = { ...signWebhook(SECRET, { id: "m", body, at: Date.now() }) };
    const late = new Request(registration?.url ?? "", { method: "POST", body, headers });
    expect((await callbacks.fetch(late)).status).toBe(404);
    expect(await violationsAtRest(queue)).toEqual([]);
    expect(await queue.status()).toMatchObject({ staged: 0, admitted: 0, running: 0, delayed: 0 });
  });

  it("cancels what a tenant has running and retrying, and nothing of others or of what has finished", async () => {
    const { queue } = fixture;
    const { handler, reasons, started } = endless();
    const worker = await fixture.worker({
      concurrency: 10,
      handler: (task, context) => {
        if (task.data["kind"] === "done") return Promise.resolve(1);
        if (task.data["kind"] === "retry") return Promise.reject(new Error("not yet"));
        return handler(task, context);
      },
    });
    const done = await queue.add({ tenantId: "acme", data: { kind: "done" } });
    await waitFor(() => worker.status().completed === 1);
    await queue.add({ tenantId: "acme", data: { kind: "retry" }, attempts: 15 });
    await waitFor(() => worker.status().retried >= 3);
    await queue.add({ tenantId: "acme", data: {} });
    await queue.add({ tenantId: "acme", data: {} });
    await queue.add({ tenantId: "other", data: {} });
    await waitFor(() => started.length === 3);
    await waitFor(async () => (await queue.cancelTenant("acme")) === 0);
    await waitFor(() => reasons.length === 2);
    expect(await queue.get(done.taskId)).toMatchObject({ state: "completed" });
    expect(await queue.cancel(done.taskId)).toBe(false);
    expect(worker.status().running).toBe(1);
    expect(await queue.deadLetters.list()).toEqual([]);
    await worker.close({ graceMs: 20 });
    expect(await violationsAtRest(queue)).toEqual([]);
  });

  it("never starts a task whose mark was set before a worker took it up", async () => {
    const { queue } = fixture;
    const added = await queue.addBulk([1, 2, 3].map((n) => ({ tenantId: "acme", data: { n } })));
    // As when the canceller dies between marking and removing.
    for (const task of added) {
      if (!(task instanceof Error)) expect(await queue.gate.cancel(task.taskId)).toBe("waiting");
    }
    const { handler, started } = endless();
    const worker = await fixture.worker({ handler });
    await waitFor(() => worker.status().cancelled === 3);
    expect(started).toEqual([]);
    expect(await violationsAtRest(queue)).toEqual([]);
  });

  it("reads the marks of what runs when its subscription was away", async () => {
    const { queue } = fixture;
    const { handler, reasons, started } = endless();
    await fixture.worker({ handler });
    const { taskId } = await queue.add({ tenantId: "acme", data: {} });
    await waitFor(() => started.length === 1);
    // Marked while nobody heard of it.
    const [partition] = queue.partitions;
    await fixture.client.hset(`${partition?.keys.bullmq}${taskId}`, "cx", "1");
    await fixture.client.call("CLIENT", "KILL", "TYPE", "pubsub");
    await waitFor(() => reasons.length === 1);
    await waitFor(async () => (await queue.get(taskId)) === undefined);
  });
});
