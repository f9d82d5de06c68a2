import type { Job } from "bullmq";
import { Worker } from "bullmq";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { farDelayMs } from "../../src/gate/far-delay.ts";
import { findViolations } from "../../src/gate/invariants.ts";
import { type Fixture, openFixture } from "../support/fixture.ts";

const ORDER = ["urgent", "normal", "batch"] as const;

describe("the gate", () => {
  let fixture: Fixture;
  let fetcher: Worker;

  beforeEach(async () => {
    fixture = await openFixture();
    fetcher = new Worker(fixture.queue.keys.queueName, null, {
      connection: fixture.client,
      prefix: fixture.queue.keys.bullmqPrefix,
      autorun: false,
    });
  });
  afterEach(async () => {
    await fetcher.close(true);
    await fixture.close();
  });

  /** Runs `count` tasks one after the other; gives their tenants and priorities in order of admission. */
  async function dispatch(
    count: number,
  ): Promise<Array<{ tenantId: string; priority: number; id: string }>> {
    const seen: Array<{ tenantId: string; priority: number; id: string }> = [];
    for (let index = 0; index < count; index++) {
      const job = (await fetcher.getNextJob("token", { block: false })) as Job | undefined;
      if (!job?.id) break;
      const { tenantId } = job.data as { tenantId: string };
      seen.push({ tenantId, priority: job.priority, id: job.id });
      await fixture.queue.gate.settle([{ tenantId, jobId: job.id, attempt: job.attemptsStarted }]);
      await job.moveToCompleted(null, "token", false);
    }
    return seen;
  }

  /** Admissions in their own order: the events of BullMQ's stream, which the window cannot reorder. */
  async function admissions(): Promise<string[]> {
    const entries = await fixture.client.xrange(`${fixture.queue.keys.bullmq}events`, "-", "+");
    return entries.flatMap(([, fields]) =>
      fields[1] === "waiting" && fields[3] !== undefined ? [fields[3]] : [],
    );
  }

  it("serves backlogged tenants by their weights, within one dispatch of the exact share", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(1, 2, 3, 4, 7), { minLength: 2, maxLength: 4 }),
        async (weights) => {
          await fixture.queue.obliterate();
          await fixture.client.hset(
            `${fixture.queue.keys.gate}class-weights`,
            "1",
            16,
            "5",
            4,
            "10",
            1,
          );
          for (const [index, weight] of weights.entries()) {
            const tenantId = `w${index}`;
            await fixture.allow(tenantId, { maxConcurrent: 1_000, weight });
            await fixture.queue.pauseTenant(tenantId);
          }
          const each = 60;
          await fixture.queue.addBulk(
            weights.flatMap((_, index) =>
              Array.from({ length: each }, () => ({ tenantId: `w${index}`, data: {} })),
            ),
          );
          // Nobody is admitted before everybody stands in line.
          await fixture.client.set(`${fixture.queue.keys.gate}window`, 0);
          for (const index of weights.keys()) await fixture.queue.resumeTenant(`w${index}`);
          await fixture.client.set(`${fixture.queue.keys.gate}window`, 16);
          await fixture.queue.gate.feed();
          const seen = await dispatch(each);
          const counts = weights.map(() => 0);
          for (const { tenantId } of seen) {
            const turn = Number(tenantId.slice(1));
            counts[turn] = (counts[turn] ?? 0) + 1;
            for (const [i, wi] of weights.entries()) {
              for (const [j, wj] of weights.entries()) {
                const gap = Math.abs((counts[i] ?? 0) / wi - (counts[j] ?? 0) / wj);
                expect(gap).toBeLessThanOrEqual(1 / wi + 1 / wj + 1e-9);
              }
            }
          }
        },
      ),
      { numRuns: 6, endOnFailure: true },
    );
  });

  it("gives weights 1:2:4 their shares within two percent over 7,000 dispatches", async () => {
    for (const [index, weight] of [1, 2, 4].entries()) {
      await fixture.allow(`w${index}`, { maxConcurrent: 10_000, weight });
      await fixture.queue.pauseTenant(`w${index}`);
      const size = weight * 1_000 + 500;
      await fixture.queue.addBulk(
        Array.from({ length: size }, () => ({ tenantId: `w${index}`, data: {} })),
      );
    }
    await fixture.client.set(`${fixture.queue.keys.gate}window`, 0);
    for (const index of [0, 1, 2]) await fixture.queue.resumeTenant(`w${index}`);
    await fixture.client.set(`${fixture.queue.keys.gate}window`, 7_000);
    expect((await fixture.queue.gate.feed(7_000)).admitted).toBe(2_000);
    for (let admitted = 2_000; admitted < 7_000;)
      admitted += (await fixture.queue.gate.feed(7_000)).admitted;
    const held = await fixture.queue.gate.depths(["w0", "w1", "w2"]);
    for (const [index, share] of [1_000, 2_000, 4_000].entries()) {
      expect(Math.abs((held[index]?.held ?? 0) - share)).toBeLessThanOrEqual(share * 0.02);
    }
  });

  it("never starves a class: of any 100 admissions under permanent urgent load batch gets four or more", async () => {
    await fixture.allow("loud", { maxConcurrent: 10_000 });
    await fixture.client.set(`${fixture.queue.keys.gate}window`, 0);
    const wanted = ORDER.flatMap((priority) =>
      Array.from({ length: priority === "urgent" ? 400 : 100 }, () => priority),
    );
    for (const priority of ORDER) await fixture.allow(priority, { maxConcurrent: 10_000 });
    await fixture.queue.addBulk(
      wanted.map((priority) => ({ tenantId: priority, priority, data: {} })),
    );
    await fixture.client.set(`${fixture.queue.keys.gate}window`, 400);
    await fixture.queue.gate.feed(400);
    const order = await admissions();
    const classes = new Map<string, string>();
    for (const job of await fixture.queue.bullmq.getJobs(["prioritized"])) {
      classes.set(job.id ?? "", (job.data as { tenantId: string }).tenantId);
    }
    expect(order).toHaveLength(400);
    for (let from = 0; from + 100 <= order.length; from += 25) {
      const slice = order.slice(from, from + 100).map((id) => classes.get(id));
      expect(slice.filter((name) => name === "batch").length).toBeGreaterThanOrEqual(4);
      expect(slice.filter((name) => name === "normal").length).toBeGreaterThanOrEqual(18);
    }
  });

  it("serves the most urgent class alone when told to be strict", async () => {
    await fixture.client.hset(`${fixture.queue.keys.gate}class-weights`, "1", 1, "5", 0, "10", 0);
    await fixture.client.set(`${fixture.queue.keys.gate}window`, 0);
    for (const priority of ORDER.toReversed()) {
      await fixture.allow(priority, { maxConcurrent: 100 });
      await fixture.queue.addBulk(
        Array.from({ length: 20 }, () => ({ tenantId: priority, priority, data: {} })),
      );
    }
    await fixture.client.set(`${fixture.queue.keys.gate}window`, 16);
    await fixture.queue.gate.feed();
    const seen = await dispatch(60);
    expect(seen.map(({ tenantId }) => tenantId)).toEqual(
      ORDER.flatMap((priority) => Array.from({ length: 20 }, () => priority)),
    );
  });

  it("lets a lowered cap drain: nothing is taken away and nothing is added until it fits", async () => {
    await fixture.allow("acme", { maxConcurrent: 4 });
    await fixture.queue.addBulk(Array.from({ length: 10 }, () => ({ tenantId: "acme", data: {} })));
    const held = async () => (await fixture.queue.gate.depths(["acme"]))[0]?.held;
    expect(await held()).toBe(4);
    await fixture.allow("acme", { maxConcurrent: 2 });
    expect(await held()).toBe(4);
    for (const expected of [3, 2, 2, 2]) {
      await dispatch(1);
      expect(await held()).toBe(expected);
    }
    await fixture.allow("acme", { maxConcurrent: 5 });
    expect(await held()).toBe(5);
  });

  it("starts a tenant's tasks no faster than its rate, while others go on", async () => {
    await fixture.allow("slow", { maxConcurrent: 100, rate: { startsPerSecond: 2, burst: 3 } });
    await fixture.queue.addBulk(Array.from({ length: 6 }, () => ({ tenantId: "slow", data: {} })));
    const held = async (tenant: string) => (await fixture.queue.gate.depths([tenant]))[0]?.held;
    expect(await held("slow")).toBe(3);
    await fixture.queue.add({ tenantId: "other", data: {} });
    expect(await held("other")).toBe(1);
    const { nextDueAt } = await fixture.queue.gate.feed();
    expect(nextDueAt).toBeGreaterThan(Date.now() - 500);
    expect(nextDueAt).toBeLessThan(Date.now() + 1_000);
    expect(await findViolations(fixture.queue)).toEqual([]);
  });

  it("admits exactly as BullMQ promotes: the same keys afterwards but for the grant", async () => {
    const { queue, client } = fixture;
    const { bullmq: B } = queue.keys;
    const snapshot = async (id: string) => {
      const hash = await client.hgetall(`${B}${id}`);
      const { gs, gt, gp, gm, timestamp, opts, ...rest } = hash;
      expect({ gs, gt, gp, gm, timestamp, opts }).toBeDefined();
      const events = await client.xrevrange(`${B}events`, "+", "-", "COUNT", 1);
      return {
        rest,
        delayed: await client.zscore(`${B}delayed`, id),
        marker: await client.zscore(`${B}marker`, "0"),
        priority: Math.floor(Number(await client.zscore(`${B}prioritized`, id)) / 2 ** 32),
        event: events[0]?.[1].filter((field) => field !== id),
      };
    };
    const { taskId } = await queue.add({ tenantId: "acme", data: { a: 1 }, jobId: "ours" });
    const ours = await snapshot(taskId);
    await client.del(`${B}marker`);
    const envelope = (await queue.bullmq.getJob(taskId))?.data as object;
    const theirs = await queue.bullmq.add("copywriter", envelope, {
      jobId: "theirs",
      delay: farDelayMs(Date.now()),
      priority: 5,
    });
    await theirs.promote();
    expect(await snapshot("theirs")).toEqual(ours);
    const counter = await client.get(`${B}pc`);
    expect(counter).toBe("2");
  });

  it("finds what is wrong: its checker sees each kind of damage", async () => {
    const { queue, client } = fixture;
    await fixture.allow("acme", { maxConcurrent: 1 });
    await queue.addBulk([1, 2, 3].map((n) => ({ tenantId: "acme", data: { n }, jobId: `d${n}` })));
    const { gate } = queue.keys;
    const damage: Array<[RegExp, () => Promise<unknown>, () => Promise<unknown>]> = [
      [/I1/, () => client.sadd(`${gate}l:acme`, "d2"), () => client.srem(`${gate}l:acme`, "d2")],
      [
        /I3/,
        () => client.zrem(`${gate}s:acme`, "d3"),
        () => client.zadd(`${gate}s:acme`, 5 * 2 ** 32 + 3, "d3"),
      ],
      [/I3/, () => client.srem(`${gate}lt`, "acme"), () => client.sadd(`${gate}lt`, "acme")],
      [
        /I5/,
        () => client.zadd(`${gate}ready:5`, 0, "acme"),
        () => client.zrem(`${gate}ready:5`, "acme"),
      ],
      [
        /I4/,
        () => client.sadd(`${gate}l:acme`, "gone"),
        () => client.srem(`${gate}l:acme`, "gone"),
      ],
    ];
    for (const [pattern, break_, mend] of damage) {
      expect(await findViolations(queue)).toEqual([]);
      await break_();
      expect((await findViolations(queue)).join("\n")).toMatch(pattern);
      await mend();
    }
  });
});
