import { waitFor } from "@millrace/core/testing";
import { beforeEach, describe, expect, it } from "vitest";
import { rendezvous } from "../../src/partitions/rendezvous.ts";
import { createQueueWorker } from "../../src/worker/queue-worker.ts";
import { ConcurrencyMeter } from "../support/concurrency-meter.ts";
import { type Fixture, openFixture } from "../support/fixture.ts";
import { homeOf, usePartitioned } from "../support/partitioned.ts";
import { connect } from "../support/redis.ts";
import { violationsAtRest } from "../support/violations-at-rest.ts";

const TENANTS = Array.from({ length: 24 }, (_, index) => `t${index}`);

/** A handler that takes a few milliseconds. */
function watched(meter: ConcurrencyMeter) {
  return async ({ tenantId }: { tenantId: string }) => {
    await meter.work(tenantId, 4);
    return 1;
  };
}

describe("a role split into partitions", () => {
  const { open, opened } = usePartitioned();
  let first: Fixture;
  beforeEach(async () => {
    first = await open(3);
  });

  it("keeps a tenant in one of them with its exact cap, and counts over all", async () => {
    const { queue } = first;
    await queue.addBulk(TENANTS.flatMap((tenantId) => many(tenantId, 10)));
    const names = queue.partitions.map(({ name }) => name);
    expect(names).toEqual(["agent__copywriter#0", "agent__copywriter#1", "agent__copywriter#2"]);
    const depths = await queue.status();
    expect(depths.staged + depths.admitted).toBe(240);
    expect(new Set(depths.tenants.map(({ tenantId }) => tenantId))).toEqual(new Set(TENANTS));
    expect(depths.tenants).toHaveLength(TENANTS.length);
    expect(await queue.desiredWorkers({ concurrency: 4 })).toBe((TENANTS.length * 2) / 4);
    for (const tenantId of TENANTS)
      expect(await homeOf(first, tenantId)).toBe(rendezvous(tenantId, names));
    const meter = new ConcurrencyMeter();
    const worker = await first.worker({ concurrency: 10, handler: watched(meter) });
    await waitFor(() => worker.status().completed === 240);
    expect(meter.highest).toBe(2);
    expect(worker.status().parked).toBe(0);
    expect(await violationsAtRest(queue)).toEqual([]);
  });

  it("lets a worker serve only some of them, and lists failures of all", async () => {
    const { queue } = first;
    const fail = () => Promise.reject(new Error("no"));
    const one = await first.worker({ partitions: [1], handler: fail });
    await queue.addBulk(TENANTS.flatMap((tenantId) => many(tenantId, 1, { attempts: 1 })));
    const mine = await Promise.all(TENANTS.map((tenantId) => homeOf(first, tenantId)));
    const expected = mine.filter((name) => name?.endsWith("#1")).length;
    expect(expected).toBeGreaterThan(0);
    await waitFor(() => one.status().failed === expected);
    const rest = await first.worker({ handler: fail });
    await waitFor(() => one.status().failed + rest.status().failed === TENANTS.length);
    const letters = await queue.deadLetters.list();
    expect(letters).toHaveLength(TENANTS.length);
    expect(letters).toEqual(letters.toSorted((a, b) => b.failedAt - a.failedAt));
    const [letter] = letters;
    await queue.deadLetters.discard(letter?.taskId ?? "");
    expect(await queue.status()).toMatchObject({ failed: TENANTS.length - 1 });
    const unknown = createQueueWorker({ queue, partitions: [7], handler: fail });
    await expect(unknown.start()).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  it("keeps every cap while processes with three and with five work side by side, and moves idle tenants only", async () => {
    const meter = new ConcurrencyMeter();
    const before = await first.worker({ concurrency: 10, handler: watched(meter) });
    await first.queue.addBulk(TENANTS.flatMap((tenantId) => many(tenantId, 12)));
    const second = await open(5);
    const after = await second.worker({ concurrency: 10, handler: watched(meter) });
    const newcomers = Array.from({ length: 24 }, (_, index) => `n${index}`);
    const more = [...TENANTS, ...newcomers].flatMap((tenantId) => many(tenantId, 6));
    // Busy tenants stay; both processes agree where.
    let isBusy = true;
    const moving = (async () => {
      while (isBusy) await second.queue.rebalance();
    })();
    await Promise.all([first.queue.addBulk(more), second.queue.addBulk(more)]).then((added) =>
      expect(added.flat().filter((task) => task instanceof Error)).toEqual([]),
    );
    const total = 24 * 12 + 48 * 6 * 2;
    await waitFor(() => before.status().completed + after.status().completed === total, {
      timeoutMs: 25_000,
    });
    isBusy = false;
    await moving;
    expect(meter.highest).toBe(2);
    await waitFor(async () => (await second.queue.rebalance()).waiting === 0);
    const names = Array.from({ length: 5 }, (_, index) => `agent__copywriter#${index}`);
    for (const tenantId of [...TENANTS, ...newcomers]) {
      expect(await homeOf(second, tenantId)).toBe(rendezvous(tenantId, names));
    }
    // A process that still thinks of three follows its tenants.
    await first.queue.addBulk(TENANTS.flatMap((tenantId) => many(tenantId, 2)));
    await waitFor(() => before.status().completed + after.status().completed === total + 48);
    expect(meter.highest).toBe(2);
    expect(await violationsAtRest(second.queue)).toEqual([]);
  });

  it("takes the month's count, a pause and later redrives along when a tenant moves, and waits for retries", async () => {
    const second = await open(2);
    const found = TENANTS.find((tenantId) =>
      rendezvous(tenantId, [
        "agent__copywriter#0",
        "agent__copywriter#1",
        "agent__copywriter#2",
      ]).endsWith("#2"),
    );
    const mover = found ?? "";
    await first.allow(mover, { maxConcurrent: 1, monthlyTaskLimit: 3 });
    let isDown = true;
    const worker = await first.worker({
      handler: ({ fence }) => (isDown ? Promise.reject(new Error("down")) : Promise.resolve(fence)),
    });
    const { taskId } = await first.queue.add({
      tenantId: mover,
      data: {},
      attempts: 2,
      priority: "urgent",
    });
    await waitFor(async () => (await first.queue.get(taskId))?.state === "failed");
    const patient = await first.queue.add({ tenantId: mover, data: {}, delayMs: 60_000 });
    expect(await second.queue.rebalance()).toEqual({ moved: 0, waiting: 1 });
    await first.queue.cancel(patient.taskId);
    await first.queue.pauseTenant(mover);
    expect(await second.queue.rebalance()).toEqual({ moved: 1, waiting: 0 });
    isDown = false;
    await second.queue.deadLetters.redrive(taskId);
    expect(await second.queue.status()).toMatchObject({ staged: 1, failed: 0 });
    await second.queue.resumeTenant(mover);
    await waitFor(async () => (await second.queue.get(taskId))?.state === "completed");
    // The start count went on, and so did the quota: one used, two left.
    expect((await second.queue.get(taskId))?.result).toBe(3);
    const added = await second.queue.addBulk(many(mover, 4));
    expect(added.filter((task) => task instanceof Error)).toHaveLength(2);
    await waitFor(() => worker.status().completed === 3);
  });

  it("lets an unsplit queue be split: what waits is served where it waits, and new tenants are spread", async () => {
    const plain = await openFixture({}, connect());
    opened.push(plain);
    await plain.queue.addBulk(TENANTS.flatMap((tenantId) => many(tenantId, 2)));
    await plain.queue.close();
    const split = await openFixture(
      { partitions: 2, prefix: plain.prefix, tenants: plain.tenants },
      connect(),
    );
    opened.push(split);
    expect(split.queue.partitions.map(({ name }) => name)).toEqual([
      "agent__copywriter#0",
      "agent__copywriter#1",
      "agent__copywriter",
    ]);
    const meter = new ConcurrencyMeter();
    const worker = await split.worker({ concurrency: 10, handler: watched(meter) });
    await split.queue.addBulk(
      [...TENANTS, "new1", "new2"].flatMap((tenantId) => many(tenantId, 4)),
    );
    await waitFor(() => worker.status().completed === 24 * 6 + 8);
    expect(meter.highest).toBe(2);
    await waitFor(async () => (await split.queue.rebalance()).waiting === 0);
    expect(await homeOf(split, "t0")).not.toBe("agent__copywriter");
  });
});

describe("rendezvous hashing", () => {
  it("spreads evenly, and a partition more moves only tenants that it takes over", () => {
    const tenants = Array.from({ length: 4_000 }, (_, index) => `tenant-${index}`);
    const four = ["a", "b", "c", "d"];
    const moved = tenants.filter(
      (tenant) => rendezvous(tenant, four) !== rendezvous(tenant, [...four, "e"]),
    );
    for (const tenant of moved) expect(rendezvous(tenant, [...four, "e"])).toBe("e");
    expect(moved.length / 4_000).toBeCloseTo(1 / 5, 1);
    for (const name of four) {
      const share = tenants.filter((tenant) => rendezvous(tenant, four) === name).length / 4_000;
      expect(share).toBeCloseTo(1 / 4, 1);
    }
  });
});

function many(tenantId: string, count: number, more = {}) {
  return Array.from({ length: count }, () => ({ tenantId, data: {}, ...more }));
}
