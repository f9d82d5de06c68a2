import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { signWebhook, silentLogger } from "@millrace/core";
import { waitFor } from "@millrace/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type CallbackRegistration,
  type Callbacks,
  createCallbacks,
} from "../../src/callbacks/callbacks.ts";
import type { AwaitCallbackOptions } from "../../src/worker/task-context.ts";
import { type Fixture, openFixture } from "../support/fixture.ts";
import { redisService } from "../support/redis.ts";
import { violationsAtRest } from "../support/violations-at-rest.ts";

const SECRET = "a secret that both sides know";
const BASE = "http://control.test/callbacks";
const WORKER = new URL("../fixtures/callback-worker.ts", import.meta.url).pathname;

function signed(url: string, payload: unknown): Request {
  const body = JSON.stringify(payload);
  const headers = signWebhook(SECRET, { id: `msg_${Math.random()}`, body, at: Date.now() });
  return new Request(url, { method: "POST", body, headers: { ...headers } });
}

describe("callbacks", () => {
  let fixture: Fixture;
  let callbacks: Callbacks;
  let dispatched: CallbackRegistration[];

  beforeEach(async () => {
    fixture = await openFixture();
    callbacks = createCallbacks({
      queues: [fixture.queue],
      secret: SECRET,
      baseUrl: BASE,
      logger: silentLogger,
    });
    dispatched = [];
  });
  afterEach(() => fixture.close());

  const awaiting = (options?: AwaitCallbackOptions) =>
    fixture.worker({
      callbacks,
      handler: (_, { awaitCallback }) =>
        awaitCallback(async (registration) => {
          dispatched.push(registration);
        }, options),
    });
  const parked = (taskId: string) =>
    waitFor(async () => (await fixture.queue.get(taskId))?.state === "delayed");
  const completed = async (taskId: string) =>
    waitFor(async () => {
      const view = await fixture.queue.get(taskId);
      return view?.state === "completed" ? view : undefined;
    });
  const url = () => dispatched[0]?.url ?? "";

  it("lets a parked task go on with the payload, under the slot it kept", async () => {
    await fixture.allow("acme", { maxConcurrent: 1 });
    const worker = await awaiting();
    const { taskId } = await fixture.queue.add({ tenantId: "acme", data: {} });
    const second = await fixture.queue.add({ tenantId: "acme", data: {} });
    await parked(taskId);
    expect(worker.status().running).toBe(0);
    expect((await fixture.queue.gate.depths(["acme"]))[0]).toMatchObject({ held: 1, staged: 1 });
    await fixture.queue.reconcile();
    expect((await fixture.queue.gate.depths(["acme"]))[0]).toMatchObject({ held: 1, staged: 1 });
    expect(await violationsAtRest(fixture.queue)).toEqual([]);
    const response = await callbacks.fetch(signed(url(), { words: 7 }));
    expect(response.status).toBe(200);
    expect((await completed(taskId)).result).toEqual({ words: 7 });
    expect(worker.status().parked).toBe(0);
    await parked(second.taskId);
  });

  it("fails the try when the deadline passes, and refuses the late callback", async () => {
    await awaiting({ timeoutMs: 700 });
    const { taskId } = await fixture.queue.add({ tenantId: "acme", data: {}, attempts: 1 });
    await waitFor(async () => (await fixture.queue.get(taskId))?.state === "failed");
    expect(dispatched).toHaveLength(1);
    expect((await fixture.queue.deadLetters.list())[0]?.reason).toMatch(/no callback/);
    expect((await callbacks.fetch(signed(url(), "late"))).status).toBe(410);
    expect(await violationsAtRest(fixture.queue)).toEqual([]);
  });

  it("frees the slot meanwhile when asked to, and takes one again afterwards", async () => {
    await fixture.allow("acme", { maxConcurrent: 1 });
    await awaiting({ releaseSlot: true });
    const { taskId } = await fixture.queue.add({ tenantId: "acme", data: {} });
    const other = await fixture.queue.add({ tenantId: "acme", data: {} });
    await parked(taskId);
    await parked(other.taskId);
    expect(dispatched).toHaveLength(2);
    expect((await fixture.queue.gate.depths(["acme"]))[0]).toMatchObject({ held: 0 });
    for (const registration of dispatched) await callbacks.fetch(signed(registration.url, "go"));
    await completed(taskId);
    await completed(other.taskId);
    await waitFor(async () => (await fixture.queue.gate.activeTenants()).length === 0);
  });

  it.each(["before registering", "before dispatching", "after dispatching", "after the callback"])(
    "completes once when its worker is killed %s",
    async (step) => {
      const seen = new Map<string, number>();
      const runtime = createServer((request, response) => {
        let text = "";
        request.on("data", (chunk: Buffer) => (text += chunk.toString()));
        request.on("end", () => {
          response.end();
          const key = String(request.headers["idempotency-key"]);
          seen.set(key, (seen.get(key) ?? 0) + 1);
          if (seen.get(key) !== 1) return;
          const { url: callbackUrl } = JSON.parse(text) as CallbackRegistration;
          setTimeout(() => void callbacks.fetch(signed(callbackUrl, { words: 9 })), 50);
        });
      });
      runtime.listen(0, "127.0.0.1");
      await once(runtime, "listening");
      const { port } = runtime.address() as AddressInfo;
      const start = () =>
        spawn(
          process.execPath,
          [
            "--conditions=@millrace/source",
            WORKER,
            redisService.url,
            fixture.prefix,
            step,
            `http://127.0.0.1:${port}/`,
            BASE,
            SECRET,
          ],
          { stdio: "inherit" },
        );
      const { taskId } = await fixture.queue.add({ tenantId: "acme", data: {} });
      const first = start();
      await once(first, "exit");
      expect(first.signalCode).toBe("SIGKILL");
      const second = start();
      try {
        expect((await completed(taskId)).result).toEqual({ words: 9 });
        expect([...seen.keys()]).toEqual([`${taskId}:1.1`]);
        await waitFor(async () => (await fixture.queue.gate.activeTenants()).length === 0);
        expect(await violationsAtRest(fixture.queue)).toEqual([]);
      } finally {
        const gone = once(second, "exit");
        second.kill("SIGKILL");
        await gone;
        runtime.close();
        await fixture.client.del(`${fixture.prefix}:died`);
      }
    },
  );
});
