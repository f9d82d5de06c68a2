import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Queue } from "../../src/queue.ts";
import { type Data, held, type OpenBackend, System } from "./backend.ts";

export function childrenContract(open: OpenBackend): void {
  describe("children", () => {
    let system: System;
    let writers: Queue<Data>;
    beforeEach(async () => {
      system = await System.open(await open(), { role: "activity-planner", tag: "shared" });
      writers = await system.makeQueue({ role: "copywriter", tag: "shared" });
    });
    afterEach(() => system.close());

    it("run through their own gate while their parent holds no slot, and give it their results", async () => {
      let plans = 0;
      let running = 0;
      let highest = 0;
      const release: Array<() => void> = [];
      await system.worker(async (_, { children }) => {
        plans++;
        for (let key = 0; key < 5; key++) {
          await children.add(writers, { key: `c${key}`, data: { key }, attempts: 1 });
        }
        return await children.results();
      });
      await system.worker(
        async ({ data }) => {
          highest = Math.max(highest, ++running);
          await new Promise<void>((resolve) => release.push(resolve));
          running--;
          if (data["key"] === 4) throw new Error("no words");
          return { words: data["key"] };
        },
        { queue: writers, concurrency: 10 },
      );
      const taskId = await system.add();
      await system.reaches(taskId, "waiting-children");
      await system.backend.until(async () => (await system.held()) === 0);
      for (let ended = 0; ended < 5; ended++) {
        await system.backend.until(() => release.length > 0);
        release.shift()?.();
      }
      const done = await system.reaches(taskId, "completed");
      expect(done.result).toEqual({
        completed: Object.fromEntries([0, 1, 2, 3].map((key) => [`c${key}`, { words: key }])),
        failed: { c4: "no words" },
      });
      expect(done.attemptsMade).toBe(1);
      expect(plans).toBe(2);
      expect(highest).toBe(2);
      expect(await writers.get(`${taskId}~c0`)).toMatchObject({ tenantId: "acme" });
    });

    it("may have any key, also one that looks like another's end or is a word of the language", async () => {
      const keys = ["draft~1", "review~1", "constructor", "__proto__"];
      await system.worker(async (_, { children }) => {
        for (const key of keys) await children.add(writers, { key, data: { key } });
        const { completed } = await children.results();
        return Object.entries(completed);
      });
      await system.worker(async ({ data }) => data["key"], { queue: writers });
      const taskId = await system.add();
      const { result } = await system.reaches(taskId, "completed");
      expect(new Set(result as unknown[])).toEqual(new Set(keys.map((key) => [key, key])));
    });

    it("go with a parent that is cancelled; while one of them runs it ends after the last instead", async () => {
      let plans = 0;
      await system.worker(async (_, { children }) => {
        plans++;
        for (const key of ["a", "b"]) await children.add(writers, { key, data: {} });
        return await children.results();
      });
      await writers.pauseTenant("acme");
      const early = await system.add();
      await system.reaches(early, "waiting-children");
      expect(await system.queue.cancel(early)).toBe(true);
      expect(await system.queue.get(early)).toBeUndefined();
      expect(await writers.get(`${early}~a`)).toBeUndefined();
      const { handler, waiting, goOn } = held();
      await system.worker(handler, { queue: writers, concurrency: 1 });
      await writers.resumeTenant("acme");
      const late = await system.add();
      await system.reaches(late, "waiting-children");
      await system.backend.until(() => waiting.length === 1);
      expect(await system.queue.cancel(late)).toBe(true);
      for (const key of ["a", "b"]) {
        await system.backend.until(() => waiting.length === 1);
        goOn();
        await system.reaches(`${late}~${key}`, "completed", writers);
      }
      await system.backend.until(async () => (await system.queue.get(late)) === undefined);
      expect(plans).toBe(2);
      expect(await system.queue.deadLetters.list()).toEqual([]);
    });

    it("are refused under another hash tag before anything is added", async () => {
      const elsewhere = await system.makeQueue({ role: "elsewhere", tag: "per-queue" });
      await system.worker((_, { children }) => children.add(elsewhere, { key: "a", data: {} }));
      const taskId = await system.add({}, { attempts: 1 });
      const { failedReason } = await system.reaches(taskId, "failed");
      expect(failedReason).toMatch(/no common hash tag/);
      expect(await elsewhere.status()).toMatchObject({ staged: 0, admitted: 0 });
    });
  });
}
