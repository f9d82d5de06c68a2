import { createBullBoard } from "@bull-board/api";
import { FastifyAdapter } from "@bull-board/fastify";
import { waitFor } from "@millrace/core/testing";
import { fastify, type FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createBoardAdapters } from "../src/bull-board.ts";
import { desiredWorkersEndpoint } from "../src/desired-workers-endpoint.ts";
import { ConcurrencyMeter } from "./support/concurrency-meter.ts";
import { type Fixture, openFixture } from "./support/fixture.ts";
import { violationsAtRest } from "./support/violations-at-rest.ts";

interface BoardQueue {
  name: string;
  isPaused: boolean;
  counts: Record<string, number>;
  jobs: Array<{ id: string }>;
}

describe("bull-board over a queue", () => {
  let fixture: Fixture;
  let app: FastifyInstance;
  beforeEach(async () => {
    fixture = await openFixture();
    app = fastify();
    const board = new FastifyAdapter();
    createBullBoard({
      queues: await createBoardAdapters(fixture.queue, { tenantIds: ["acme", "other"] }),
      serverAdapter: board,
    });
    await app.register(board.registerPlugin());
  });
  afterEach(async () => {
    await app.close();
    await fixture.close();
  });
  const send = async (method: "GET" | "PUT", path: string) => {
    const answer = await app.inject({ method, url: `/api/queues${path}` });
    expect(answer.statusCode).toBeLessThan(300);
    return answer.body === "" ? {} : answer.json<unknown>();
  };
  const entry = async (name: string, status = "delayed") => {
    const query = `?activeQueue=${encodeURIComponent(name)}&status=${status}&page=1&jobsPerPage=20`;
    const { queues } = (await send("GET", query)) as { queues: BoardQueue[] };
    const found = queues.find((queue) => queue.name === name);
    if (!found)
      throw new Error(`no entry ${name} among ${queues.map((queue) => queue.name).join()}`);
    return found;
  };
  const WHOLE = "agent__copywriter";
  const ACME = "agent__copywriter@acme";

  it("shows what each tenant has waiting, in its order, and pauses, resumes and empties one tenant alone", async () => {
    const { queue } = fixture;
    await queue.pauseTenant("acme");
    await queue.pauseTenant("other");
    for (const [index, priority] of (["batch", "normal", "urgent"] as const).entries()) {
      await queue.add({ tenantId: "acme", data: {}, jobId: `a${index}`, priority });
    }
    await queue.add({ tenantId: "other", data: {}, jobId: "o0" });
    expect((await entry(WHOLE)).counts["delayed"]).toBe(4);
    const acme = await entry(ACME);
    expect(acme).toMatchObject({ isPaused: true, counts: { delayed: 3, active: 0 } });
    expect(acme.jobs.map(({ id }) => id)).toEqual(["a2", "a1", "a0"]);
    await send("PUT", `/${encodeURIComponent(ACME)}/resume`);
    expect(await entry(ACME)).toMatchObject({ isPaused: false, counts: { delayed: 1 } });
    expect((await entry(ACME, "prioritized")).jobs).toHaveLength(2);
    await send("PUT", `/${encodeURIComponent(ACME)}/pause`);
    await send("PUT", `/${encodeURIComponent(ACME)}/empty`);
    expect((await entry(ACME)).counts).toMatchObject({ delayed: 0, prioritized: 0 });
    expect((await entry("agent__copywriter@other")).counts["delayed"]).toBe(1);
    expect(await violationsAtRest(queue)).toEqual([]);
  });

  it("exceeds no cap whatever is promoted and retried there", async () => {
    const { queue } = fixture;
    const meter = new ConcurrencyMeter();
    let failing = true;
    const worker = await fixture.worker({
      concurrency: 20,
      handler: async ({ tenantId }) => {
        await meter.work(tenantId, 10);
        if (failing) throw new Error("no");
        return 1;
      },
    });
    const ids = Array.from({ length: 30 }, (_, index) => `j${index}`);
    await queue.addBulk(ids.map((jobId) => ({ tenantId: "acme", data: {}, jobId, attempts: 1 })));
    // A few one by one, from the tenant's entry, then all.
    for (const { id } of (await entry(ACME)).jobs.slice(-5)) {
      await app.inject({
        method: "PUT",
        url: `/api/queues/${encodeURIComponent(ACME)}/${id}/promote`,
      });
    }
    await send("PUT", `/${WHOLE}/promote`);
    await waitFor(() => worker.status().failed === 30, { timeoutMs: 20_000 });
    expect(worker.status().parked).toBeGreaterThan(0);
    failing = false;
    await send("PUT", `/${WHOLE}/retry/failed`);
    await waitFor(() => worker.status().completed === 30, { timeoutMs: 20_000 });
    expect(meter.highest).toBe(2);
    expect(await violationsAtRest(queue)).toEqual([]);
  });

  it("tells an autoscaler how many workers the admissible backlog keeps busy, not the capped one", async () => {
    const { queue } = fixture;
    const answer = desiredWorkersEndpoint([queue], { concurrency: 2, max: 10 });
    const ask = async (method = "GET") => answer(new Request("http://scaler/", { method }));
    await queue.addBulk(Array.from({ length: 300 }, () => ({ tenantId: "capped", data: {} })));
    await fixture.allow("wide", { maxConcurrent: 100 });
    expect(await (await ask()).json()).toEqual({ desiredWorkers: 1, roles: { copywriter: 1 } });
    await queue.addBulk(Array.from({ length: 9 }, () => ({ tenantId: "wide", data: {} })));
    expect(await (await ask()).json()).toMatchObject({ desiredWorkers: 6 });
    expect((await ask("POST")).status).toBe(405);
    await queue.close();
    expect((await ask()).status).toBe(503);
    await queue.closed;
  });
});
