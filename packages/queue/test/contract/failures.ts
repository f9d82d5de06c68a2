import { UnrecoverableError } from "bullmq";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { code, type OpenBackend, System } from "./backend.ts";

export function failuresContract(open: OpenBackend): void {
  describe("tasks", () => {
    let system: System;
    const until = <Result>(condition: () => Result | Promise<Result>) =>
      system.backend.until(condition);
    beforeEach(async () => {
      const output = z.unknown().refine((value) => value !== "bad", "must not be bad");
      system = await System.open(await open(), { output });
    });
    afterEach(() => system.close());

    it("fail after having been put off too often", async () => {
      await system.worker((_, { defer }) => defer(1), { maxDefers: 1 });
      const taskId = await system.add();
      const { failedReason } = await system.reaches(taskId, "failed");
      expect(failedReason).toMatch(/^QUEUE_DEFER_LIMIT/);
    });

    it("have all their starts and deferrals again when they are run again on demand", async () => {
      const { deadLetters } = system.queue;
      let isMended = false;
      await system.worker(
        async ({ data }, { defer }) => {
          if (isMended) return "done";
          if (data["topic"] === "defers") defer(1);
          throw new Error("no luck");
        },
        { maxStarts: 2, maxDefers: 1 },
      );
      const started = await system.add({}, { attempts: 5 });
      const { failedReason } = await system.reaches(started, "failed");
      expect(failedReason).toMatch(/^QUEUE_START_LIMIT/);
      const deferred = await system.add({ topic: "defers" });
      await system.reaches(deferred, "failed");
      await deadLetters.redrive(deferred);
      const again = await system.reaches(deferred, "failed");
      expect(again.failedReason).toMatch(/^QUEUE_DEFER_LIMIT/);
      isMended = true;
      for (const taskId of [started, deferred]) {
        await deadLetters.redrive(taskId);
        expect((await system.reaches(taskId, "completed")).result).toBe("done");
      }
    });

    it("are retried as often as they may, then kept as dead letters and run again on demand", async () => {
      await system.allow("acme", { monthlyTaskLimit: 1 });
      const { deadLetters } = system.queue;
      const attempts: number[] = [];
      const fences: number[] = [];
      const failures: boolean[] = [];
      let isFailing = true;
      const worker = await system.worker(async ({ attempt, fence, labels }) => {
        attempts.push(attempt);
        fences.push(fence);
        if (isFailing) throw new Error("no luck");
        return labels;
      });
      worker.on("task:failed", ({ isFinal }) => failures.push(isFinal));
      const taskId = await system.add({ topic: "a" }, { attempts: 3, labels: { is: "kept" } });
      const failed = await system.reaches(taskId, "failed");
      expect(failed).toMatchObject({ failedReason: "no luck", attemptsMade: 3 });
      await until(() => failures.length === 3);
      expect(failures).toEqual([false, false, true]);
      expect(attempts).toEqual([1, 2, 3]);
      expect(worker.status()).toMatchObject({ retried: 2, failed: 1 });
      const letters = await deadLetters.list({ tenantId: "acme" });
      expect(letters).toMatchObject([
        { taskId, tenantId: "acme", data: { topic: "a" }, reason: "no luck", attemptsMade: 3 },
      ]);
      expect(await deadLetters.list({ tenantId: "other" })).toEqual([]);
      expect(await system.queue.status()).toMatchObject({ failed: 1, running: 0 });
      isFailing = false;
      await deadLetters.redrive(taskId);
      expect((await system.reaches(taskId, "completed")).result).toEqual({ is: "kept" });
      expect(attempts).toEqual([1, 2, 3, 1]);
      expect(fences).toEqual(fences.toSorted((one, other) => one - other));
      expect(new Set(fences).size).toBe(4);
      await expect(deadLetters.redrive(taskId)).rejects.toEqual(code("QUEUE_TASK_NOT_FOUND"));
      await expect(deadLetters.discard("nobody")).rejects.toEqual(code("QUEUE_TASK_NOT_FOUND"));
    });

    it("fail at once where no retry helps, and can be discarded", async () => {
      await system.worker(async ({ data }) => {
        if (data["topic"] === "bad") return "bad";
        throw new UnrecoverableError("never");
      });
      const never = await system.add({}, { attempts: 5 });
      expect(await system.reaches(never, "failed")).toMatchObject({
        attemptsMade: 1,
        failedReason: "never",
      });
      const bad = await system.add({ topic: "bad" }, { attempts: 2 });
      const { attemptsMade, failedReason } = await system.reaches(bad, "failed");
      expect(failedReason).toMatch(/must not be bad/);
      expect(attemptsMade).toBe(2);
      const newestFirst = (await system.queue.deadLetters.list()).map(({ taskId }) => taskId);
      expect(newestFirst).toEqual([bad, never]);
      await system.queue.deadLetters.discard(never);
      expect(await system.queue.get(never)).toBeUndefined();
    });

    it("fail by whatever their handler throws, and by waiting for no time at all", async () => {
      const thrown: unknown[] = [undefined, null, "no luck", Symbol("s"), { message: "odd" }];
      const callbacks = system.backend.createCallbacks({
        queues: [system.queue],
        secret: "a secret that both sides know",
        baseUrl: "http://control.test/callbacks",
      });
      const worker = await system.worker(
        async ({ data }, { defer, awaitCallback }) => {
          if (data["kind"] === "defer") return defer(Number.NaN);
          if (data["kind"] === "await") {
            return await awaitCallback(async () => {}, { timeoutMs: Number.NaN });
          }
          throw thrown[Number(data["kind"])];
        },
        { callbacks },
      );
      const kinds = [...thrown.keys(), "defer", "await"];
      const reasons: unknown[] = [];
      for (const kind of kinds) {
        const taskId = await system.add({ kind }, { attempts: 1 });
        reasons.push((await system.reaches(taskId, "failed")).failedReason);
      }
      const foreign = "the handler threw what is no Error: ";
      expect(reasons).toEqual([
        ...["undefined", "null", "no luck", "Symbol(s)", "odd"].map((text) => foreign + text),
        "defer needs milliseconds, not NaN",
        "awaitCallback needs a timeoutMs above 0, not NaN",
      ]);
      expect(worker.status()).toMatchObject({ failed: kinds.length, running: 0 });
      expect(() => worker.setConcurrency(Number.NaN)).toThrow(code("CONFIG_INVALID"));
      for (const concurrency of [0, -1, Number.NaN]) {
        await expect(system.queue.desiredWorkers({ concurrency })).rejects.toEqual(
          code("CONFIG_INVALID"),
        );
      }
      await expect(
        system.worker(async () => 1, { timeoutMs: Number.MAX_SAFE_INTEGER }),
      ).rejects.toEqual(code("CONFIG_INVALID"));
    });

    it("have their signal fired and fail when a run takes too long", async () => {
      let reason: unknown;
      await system.worker(
        (_, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => {
              reason = signal.reason;
              reject(new Error("stopped"));
            });
          }),
        { timeoutMs: 100 },
      );
      const taskId = await system.add({}, { attempts: 1 });
      const { failedReason } = await system.reaches(taskId, "failed");
      expect(failedReason).toMatch(/ran longer than 100 ms/);
      expect((reason as Error).name).toBe("TimeoutError");
      expect(await system.held()).toBe(0);
    });
  });
}
