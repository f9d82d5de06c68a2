import { signWebhook, silentLogger } from "@millrace/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CallbackRegistration } from "../../src/callbacks/callbacks.ts";

import { code, held, type OpenBackend, System } from "./backend.ts";

const SECRET = "a secret that both sides know";

export function cancellingContract(open: OpenBackend): void {
  describe("cancelling", () => {
    let system: System;
    beforeEach(async () => {
      system = await System.open(await open());
    });
    afterEach(() => system.close());
    const until = <Result>(condition: () => Result | Promise<Result>) =>
      system.backend.until(condition);

    it("fires the signal of a running task, gives its slot to the next and keeps no failure", async () => {
      const { queue } = system;
      await system.allow("acme", { maxConcurrent: 1, monthlyTaskLimit: 2 });
      const started: string[] = [];
      const reasons: unknown[] = [];
      const ends: unknown[] = [];
      const worker = await system.worker(({ taskId }, { signal }) => {
        started.push(taskId);
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            reasons.push(signal.reason);
            reject(new Error("stopped"));
          });
        });
      });
      worker.on("task:failed", ({ isFinal, error }) => ends.push([isFinal, error.message]));
      const taskId = await system.add({}, { attempts: 5 });
      const next = await system.add();
      await until(() => started.length === 1);
      expect(await queue.cancel(taskId)).toBe(true);
      await until(async () => (await queue.get(taskId)) === undefined);
      await until(() => started.includes(next));
      expect(reasons).toEqual(["the task was cancelled"]);
      expect(ends).toEqual([[true, "QUEUE_TASK_CANCELLED: the task was cancelled"]]);
      expect(worker.status()).toMatchObject({ cancelled: 1, failed: 0, retried: 0 });
      expect(await queue.deadLetters.list()).toEqual([]);
      expect(await queue.cancel(taskId)).toBe(false);
      // It had started: it stays counted.
      await expect(system.add()).rejects.toEqual(code("QUEUE_QUOTA_EXCEEDED"));
    });

    it("takes out what waits for whatever reason, and what never started off the month", async () => {
      const { queue } = system;
      await system.allow("acme", { maxConcurrent: 3, monthlyTaskLimit: 8 });
      let registration: CallbackRegistration | undefined;
      const callbacks = system.backend.createCallbacks({
        queues: [queue],
        secret: SECRET,
        baseUrl: "http://control.test/callbacks",
        logger: silentLogger,
      });
      const worker = await system.worker(
        async ({ data }, { awaitCallback, defer }) => {
          if (data["kind"] === "defer") defer(60_000);
          return await awaitCallback(async (given) => {
            registration = given;
          });
        },
        { callbacks },
      );
      const awaiting = await system.add({ kind: "await" });
      const deferred = await system.add({ kind: "defer" });
      await until(() => registration !== undefined && worker.status().deferred === 1);
      await worker.close({ graceMs: 0 });
      const due = await system.add({}, { delayMs: 60_000 });
      const admitted = await system.add();
      const staged = [await system.add(), await system.add(), await system.add()];
      await system.add({}, { jobId: "last" });
      await expect(system.add()).rejects.toEqual(code("QUEUE_QUOTA_EXCEEDED"));
      for (const taskId of [awaiting, admitted, due]) expect(await queue.cancel(taskId)).toBe(true);
      expect(await queue.cancelTenant("acme")).toBe(5);
      for (const taskId of [awaiting, deferred, due, admitted, ...staged, "last"]) {
        expect(await queue.get(taskId)).toBeUndefined();
        expect(await queue.cancel(taskId)).toBe(false);
      }
      expect(await queue.cancelTenant("acme")).toBe(0);
      const body = '{"ok":true}';
      const at = system.backend.now();
      const headers = { ...signWebhook(SECRET, { id: "m", body, at }) };
      const late = new Request(registration?.url ?? "", { method: "POST", body, headers });
      expect((await callbacks.fetch(late)).status).toBe(404);
      expect(await queue.status()).toMatchObject({
        staged: 0,
        admitted: 0,
        running: 0,
        delayed: 0,
        tenants: [],
      });
      // Six of the eight never started.
      const again = await queue.addBulk(
        Array.from({ length: 8 }, () => ({ tenantId: "acme", data: {} })),
      );
      expect(again.filter((one) => one instanceof Error)).toHaveLength(2);
    });

    it("says nothing of a task that is added under the same id afterwards", async () => {
      const { handler, waiting } = held();
      await system.worker(handler);
      await system.add({}, { jobId: "report" });
      await until(() => waiting.length === 1);
      expect(await system.queue.cancel("report")).toBe(true);
      await until(async () => (await system.queue.get("report")) === undefined);
      waiting.shift()?.go();
      await system.add({}, { jobId: "report" });
      await until(() => waiting.length === 1);
      waiting.shift()?.go("written");
      expect((await system.reaches("report", "completed")).result).toBe("written");
    });

    it("of a tenant leaves others and what has finished alone", async () => {
      const { queue } = system;
      const { handler, waiting } = held();
      const worker = await system.worker(
        (task) => (task.data["kind"] === "done" ? Promise.resolve(1) : handler(task)),
        { concurrency: 10 },
      );
      const done = await system.add({ kind: "done" });
      await system.reaches(done, "completed");
      for (let n = 0; n < 4; n++) await system.add();
      await queue.add({ tenantId: "other", data: {} });
      await until(() => waiting.length === 3);
      expect(await queue.cancelTenant("acme")).toBe(4);
      await until(() => worker.status().running === 1);
      expect(await queue.get(done)).toMatchObject({ state: "completed" });
      expect(await queue.cancel(done)).toBe(false);
      // A worker may have been on its way to those that waited.
      await until(() => worker.status().cancelled >= 2);
      expect(worker.status().failed).toBe(0);
    });
  });
}
