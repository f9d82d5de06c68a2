import { signWebhook, silentLogger } from "@millrace/core";
import * as fc from "fast-check";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";

import { createMemoryBackend } from "../../src/testing/memory-backend.ts";

const SECRET = "a secret that both sides know";
const CAPS = [1, 2, 4] as const;
const quiet = { logger: silentLogger, metrics: new Registry() };

const whatRunsDo = fc.constantFrom("complete", "fail", "defer", "await", "release", "hang");

describe("tasks in memory", () => {
  it("keep every cap and come to an end, whatever their runs do", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            tenant: fc.nat({ max: CAPS.length - 1 }),
            runs: fc.array(whatRunsDo, { maxLength: 6 }),
            priority: fc.constantFrom("urgent", "normal", "batch"),
            delayMs: fc.constantFrom(undefined, 0, 700),
            isCancelled: fc.boolean(),
          }),
          { minLength: 5, maxLength: 40 },
        ),
        fc.integer({ min: 1, max: 10 }),
        async (plan, concurrency) => {
          const { clock, settled, ...backend } = createMemoryBackend({ startAt: 1_000_000 });
          const plans = { basic: { roles: { "*": {} } } };
          const tenants = backend.createTenantStore({ plans, defaultPlan: "basic" });
          const queue = backend.createQueue<number>({ role: "r", tenants, attempts: 20, ...quiet });
          const baseUrl = "http://control.test/callbacks";
          const callbacks = backend.createCallbacks({
            queues: [queue],
            secret: SECRET,
            baseUrl,
            logger: silentLogger,
          });
          const awaited: string[] = [];
          const running = new Map<string, number>();
          const tooMany: string[] = [];
          const worker = backend.createQueueWorker({
            queue,
            callbacks,
            concurrency,
            timeoutMs: 400,
            ...quiet,
            async handler(task, { signal, defer, awaitCallback }) {
              const now = (running.get(task.tenantId) ?? 0) + 1;
              running.set(task.tenantId, now);
              const cap = CAPS[Number(task.tenantId.slice(1))] ?? 0;
              if (now > cap) tooMany.push(`${now} of ${task.tenantId}`);
              try {
                const step = plan[task.data]?.runs[task.fence - 1] ?? "complete";
                if (step === "fail") throw new Error("failed");
                if (step === "defer") defer(300);
                if (step === "await" || step === "release") {
                  const releaseSlot = step === "release";
                  return await awaitCallback(
                    async ({ url }) => {
                      awaited.push(url);
                    },
                    { timeoutMs: 1_000, releaseSlot },
                  );
                }
                if (step === "hang") {
                  await new Promise((resolve) => signal.addEventListener("abort", resolve));
                }
                return task.data;
              } finally {
                running.set(task.tenantId, (running.get(task.tenantId) ?? 0) - 1);
              }
            },
          });
          for (const part of [tenants, queue, worker]) await part.start();
          for (const [index, maxConcurrent] of CAPS.entries()) {
            await tenants.set(`t${index}`, { plan: "basic", roles: { r: { maxConcurrent } } });
          }
          const added: string[] = [];
          for (const [index, { tenant, priority, delayMs }] of plan.entries()) {
            const tenantId = `t${tenant}`;
            added.push((await queue.add({ tenantId, data: index, priority, delayMs })).taskId);
          }
          for (const [index, { isCancelled }] of plan.entries()) {
            await clock.advance(100);
            if (isCancelled) await queue.cancel(added[index] ?? "");
            const url = awaited.shift();
            if (url === undefined) continue;
            const headers = { ...signWebhook(SECRET, { id: "1", body: "1", at: clock.now() }) };
            await callbacks.fetch(new Request(url, { method: "POST", body: "1", headers }));
          }
          await clock.advance(3_600_000);
          await settled();
          expect(tooMany).toEqual([]);
          const views = await Promise.all(added.map((taskId) => queue.get(taskId)));
          for (const [index, view] of views.entries()) {
            if (view) expect(view.state).toBe("completed");
            else expect(plan[index]?.isCancelled).toBe(true);
          }
          expect(await queue.status()).toMatchObject({
            staged: 0,
            admitted: 0,
            running: 0,
            delayed: 0,
            failed: 0,
            tenants: [],
          });
          for (const part of [worker, queue, tenants]) await part.close();
        },
      ),
      { numRuns: 30, endOnFailure: true },
    );
  });
});
