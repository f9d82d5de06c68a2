import { signWebhook, silentLogger } from "@millrace/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CallbackRegistration, Callbacks } from "../../src/callbacks/callbacks.ts";

import type { AwaitCallbackOptions } from "../../src/worker/task-context.ts";
import { type OpenBackend, System } from "./backend.ts";

const SECRET = "a secret that both sides know";
const BASE = "http://control.test/callbacks";

export function callbacksContract(open: OpenBackend): void {
  describe("callbacks", () => {
    let system: System;
    let callbacks: Callbacks;
    let dispatched: CallbackRegistration[];
    beforeEach(async () => {
      system = await System.open(await open());
      dispatched = [];
      callbacks = system.backend.createCallbacks({
        queues: [system.queue],
        secret: SECRET,
        baseUrl: BASE,
        logger: silentLogger,
      });
    });
    afterEach(() => system.close());

    const signed = (
      url: string,
      payload: unknown,
      { secret = SECRET, at = system.backend.now() } = {},
    ) => {
      const body = JSON.stringify(payload);
      const headers = signWebhook(secret, { id: `msg_${Math.random()}`, body, at });
      return new Request(url, { method: "POST", body, headers: { ...headers } });
    };
    const awaiting = (
      options?: AwaitCallbackOptions,
      onDispatch?: (url: string) => Promise<void>,
    ) =>
      system.worker(
        (_, { awaitCallback }) =>
          awaitCallback(async (registration) => {
            dispatched.push(registration);
            await onDispatch?.(registration.url);
          }, options),
        { callbacks },
      );
    const url = () => dispatched[0]?.url ?? "";
    const parked = (taskId: string) => system.reaches(taskId, "delayed");
    const send = (request: Request) => callbacks.fetch(request);
    const status = async (request: Request) => (await send(request)).status;

    it("let a parked task go on with the payload, under the slot it kept", async () => {
      await system.allow("acme", { maxConcurrent: 1 });
      const worker = await awaiting();
      const taskId = await system.add();
      const second = await system.add();
      await parked(taskId);
      await system.backend.until(() => worker.status().running === 0);
      const { tenants, delayed } = await system.queue.status();
      expect(tenants).toMatchObject([{ held: 1, staged: 1 }]);
      expect(delayed).toBe(1);
      expect(dispatched).toMatchObject([{ idempotencyKey: `${taskId}:1.1`, fence: 1 }]);
      expect((await send(signed(url(), { words: 7 }))).status).toBe(200);
      const done = await system.reaches(taskId, "completed");
      expect(done).toMatchObject({ result: { words: 7 }, attemptsMade: 1 });
      expect(worker.status().parked).toBe(0);
      await system.backend.until(() => dispatched.length === 2);
      await parked(second);
    });

    it("may come before the task is parked", async () => {
      await awaiting(undefined, async (early) => {
        expect(await status(signed(early, "early"))).toBe(200);
      });
      const taskId = await system.add();
      expect((await system.reaches(taskId, "completed")).result).toBe("early");
      expect(dispatched).toHaveLength(1);
    });

    it("are answered with the first result when they come again", async () => {
      await awaiting();
      const taskId = await system.add();
      await parked(taskId);
      await send(signed(url(), "first"));
      const again = await send(signed(url(), "second"));
      expect(again.status).toBe(200);
      expect(await again.json()).toEqual({ status: "accepted", first: "first" });
      expect((await system.reaches(taskId, "completed")).result).toBe("first");
      expect(await status(signed(url(), "third"))).toBe(200);
    });

    it("are refused when forged, replayed, unsigned, oversized or malformed, and awaited on", async () => {
      await awaiting();
      const taskId = await system.add();
      await parked(taskId);
      const stale = { at: system.backend.now() - 3_600_000 };
      expect(await status(signed(url(), 1, { secret: "another secret, as long as it" }))).toBe(401);
      expect(await status(signed(url(), 1, stale))).toBe(401);
      expect(await status(new Request(url(), { method: "POST", body: "1" }))).toBe(401);
      expect(await status(signed(url().replace(/token=.*/, "token=guess"), 1))).toBe(410);
      expect(await status(signed(url(), "x".repeat(1024 * 1024 + 1)))).toBe(413);
      expect(await status(signed(`${BASE}/copywriter/nobody/1.1?token=x`, 1))).toBe(404);
      expect(await status(signed(`${BASE}/nobody/x/1.1?token=x`, 1))).toBe(404);
      expect(await status(new Request(url()))).toBe(405);
      const tampered = {
        method: "POST",
        body: '{"a":2}',
        headers: signed(url(), { a: 1 }).headers,
      };
      expect(await status(new Request(url(), tampered))).toBe(401);
      const at = system.backend.now();
      const headers = { ...signWebhook(SECRET, { id: "m", body: "{not", at }) };
      expect(await status(new Request(url(), { method: "POST", body: "{not", headers }))).toBe(400);
      expect((await system.queue.get(taskId))?.state).toBe("delayed");
      expect(await status(signed(url(), "right"))).toBe(200);
      expect((await system.reaches(taskId, "completed")).result).toBe("right");
    });

    it("that are late find the try failed; the next try waits for another", async () => {
      await awaiting({ timeoutMs: 700 });
      const taskId = await system.add({}, { attempts: 2 });
      await system.backend.until(() => dispatched.length === 2);
      expect(await status(signed(url(), "late"))).toBe(410);
      expect(dispatched[1]?.idempotencyKey).toBe(`${taskId}:2.1`);
      await parked(taskId);
      expect(await status(signed(dispatched[1]?.url ?? "", "in time"))).toBe(200);
      expect((await system.reaches(taskId, "completed")).result).toBe("in time");
      const lost = await system.add({}, { attempts: 1 });
      const { failedReason } = await system.reaches(lost, "failed");
      expect(failedReason).toMatch(/no callback/);
      expect(await system.held()).toBe(0);
    });

    it("are asked for anew by a dead letter that is run again", async () => {
      await system.worker(
        async (_, { awaitCallback }) => {
          const payload = await awaitCallback(async (registration) => {
            dispatched.push(registration);
          });
          if (payload === "broken") throw new Error("broken draft");
          return payload;
        },
        { callbacks },
      );
      const taskId = await system.add({}, { attempts: 1 });
      await parked(taskId);
      await send(signed(url(), "broken"));
      await system.reaches(taskId, "failed");
      await system.queue.deadLetters.redrive(taskId);
      await system.backend.until(() => dispatched.length === 2);
      await parked(taskId);
      expect(new Set(dispatched.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(2);
      await send(signed(dispatched[1]?.url ?? "", "whole"));
      expect((await system.reaches(taskId, "completed")).result).toBe("whole");
    });

    it("leave the slot to others meanwhile when asked to", async () => {
      await system.allow("acme", { maxConcurrent: 1 });
      await awaiting({ releaseSlot: true });
      const tasks = [await system.add(), await system.add()];
      await system.backend.until(() => dispatched.length === 2);
      for (const taskId of tasks) await parked(taskId);
      expect(await system.held()).toBe(0);
      for (const registration of dispatched) await send(signed(registration.url, "go"));
      for (const taskId of tasks) await system.reaches(taskId, "completed");
      await system.backend.until(async () => (await system.held()) === 0);
    });

    it("may be awaited several times in one task", async () => {
      await system.worker(
        async (_, { awaitCallback }) => {
          const texts: unknown[] = [];
          for (const step of ["draft", "review"]) {
            texts.push(
              await awaitCallback(async (registration) => {
                dispatched.push(registration);
                if (step === "review") await send(signed(registration.url, step));
              }),
            );
          }
          return texts;
        },
        { callbacks },
      );
      const taskId = await system.add();
      await parked(taskId);
      await send(signed(url(), "draft"));
      expect((await system.reaches(taskId, "completed")).result).toEqual(["draft", "review"]);
      expect(dispatched.map(({ idempotencyKey }) => idempotencyKey)).toEqual([
        `${taskId}:1.1`,
        `${taskId}:1.2`,
      ]);
    });
  });
}
