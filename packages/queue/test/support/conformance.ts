import { signWebhook, silentLogger } from "@millrace/core";
import { waitFor } from "@millrace/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CallbackRegistration, createCallbacks } from "../../src/callbacks/callbacks.ts";
import { createScheduler } from "../../src/scheduler.ts";
import { type Fixture, openFixture } from "./fixture.ts";
import { violationsAtRest } from "./violations-at-rest.ts";

const SECRET = "a secret that both sides know";

/** What the harness relies on in BullMQ, run on whichever version the file has put in its place. */
export function describeConformance(version: string): void {
  describe(`the harness on ${version}`, () => {
    let fixture: Fixture;
    beforeEach(async () => {
      fixture = await openFixture();
    });
    afterEach(() => fixture.close());

    it("runs each task once under its cap and sees every grant without asking", async () => {
      let running = 0;
      let highest = 0;
      const worker = await fixture.worker({
        concurrency: 10,
        handler: async () => {
          highest = Math.max(highest, ++running);
          await new Promise((resolve) => setTimeout(resolve, 3));
          running--;
          return 1;
        },
      });
      await fixture.queue.addBulk(
        Array.from({ length: 60 }, () => ({ tenantId: "acme", data: {} })),
      );
      await waitFor(() => worker.status().completed === 60);
      expect(highest).toBe(2);
      expect(worker.status().parked).toBe(0);
      expect(await violationsAtRest(fixture.queue)).toEqual([]);
    });

    it("stores a task as BullMQ stores a delayed job: the same hash but for ours, the same place", async () => {
      const { queue, client } = fixture;
      const { bullmq: B } = queue.keys;
      await queue.pauseTenant("acme");
      await queue.add({ tenantId: "acme", data: { a: "ü" }, jobId: "ours", priority: "batch" });
      const job = await queue.bullmq.getJob("ours");
      await queue.bullmq.add("copywriter", job?.data as object, { ...job?.opts, jobId: "theirs" });
      const stored = async (id: string) => {
        const { gt: _t, gp: _p, gm: _m, opts = "{}", ...hash } = await client.hgetall(`${B}${id}`);
        const score = Number(await client.zscore(`${B}delayed`, id));
        const events = await client.xrange(`${B}events`, "-", "+");
        const added = events.find(
          ([, fields]) => fields[1] === "added" && fields.includes(id),
        )?.[1];
        return {
          hash,
          options: { ...(JSON.parse(opts) as object), jobId: "" },
          millisecond: Math.floor(score / 4096),
          added: added?.map((field) => (field === id ? "" : field)),
        };
      };
      const ours = await stored("ours");
      expect(ours.added).toContain("added");
      expect(await stored("theirs")).toEqual(ours);
      // Known to BullMQ only: reconcile would stage it.
      await queue.bullmq.remove("theirs");
    });

    it("parks, promotes, retries, fails, redrives and gives back", async () => {
      const { queue } = fixture;
      await fixture.allow("acme", { maxConcurrent: 1 });
      let isDown = true;
      let starts = 0;
      const first = await fixture.worker({
        handler: async (_, { defer }) => {
          starts++;
          if (starts === 1) defer(50);
          await Promise.resolve();
          if (isDown) throw new Error("down");
          return 1;
        },
      });
      const { taskId } = await queue.add({ tenantId: "acme", data: {}, attempts: 2 });
      await waitFor(async () => (await queue.get(taskId))?.state === "failed");
      isDown = false;
      await queue.deadLetters.redrive(taskId);
      await waitFor(async () => (await queue.get(taskId))?.state === "completed");
      await first.close();
      const second = await fixture.worker({ handler: () => new Promise(() => {}) });
      const added = await queue.addBulk([1, 2, 3].map((n) => ({ tenantId: "acme", data: { n } })));
      await waitFor(() => second.status().running === 1);
      const last = added[2];
      if (last && "taskId" in last) {
        const job = await queue.bullmq.getJob(last.taskId);
        await job?.promote();
        await waitFor(() => second.status().parked === 1);
      }
      await second.close({ graceMs: 50 });
      expect(await violationsAtRest(queue)).toEqual([]);
      expect(await queue.status()).toMatchObject({ running: 0 });
    });

    it("waits for a callback and goes on with it", async () => {
      const callbacks = createCallbacks({
        queues: [fixture.queue],
        secret: SECRET,
        baseUrl: "http://control.test/callbacks",
        logger: silentLogger,
      });
      let registration: CallbackRegistration | undefined;
      await fixture.worker({
        callbacks,
        handler: (_, { awaitCallback }) =>
          awaitCallback((given) => {
            registration = given;
            return Promise.resolve();
          }),
      });
      const { taskId } = await fixture.queue.add({ tenantId: "acme", data: {} });
      await waitFor(async () => (await fixture.queue.get(taskId))?.state === "delayed");
      const body = '{"ok":true}';
      const headers = signWebhook(SECRET, { id: "m", body, at: Date.now() });
      const url = registration?.url ?? "";
      const request = new Request(url, { method: "POST", body, headers: { ...headers } });
      expect((await callbacks.fetch(request)).status).toBe(200);
      await waitFor(async () => (await fixture.queue.get(taskId))?.state === "completed");
    });

    it("ticks by the clock", async () => {
      const worker = await fixture.worker({});
      const scheduler = createScheduler({ queue: fixture.queue, logger: silentLogger });
      await scheduler.start();
      await scheduler.upsert("s", { everyMs: 200 }, { tenantId: "acme", data: {} });
      await waitFor(() => worker.status().completed >= 2);
      expect(await scheduler.remove("s")).toBe(true);
      await scheduler.close();
    });
  });
}
