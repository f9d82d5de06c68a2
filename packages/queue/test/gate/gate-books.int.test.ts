import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { farDelayMs } from "../../src/gate/far-delay.ts";
import { findViolations } from "../../src/gate/invariants.ts";
import type { OpenPartition } from "../../src/partitions/queue-partition.ts";
import { type Fixture, openFixture } from "../support/fixture.ts";

describe("the gate's books, after people have been at BullMQ's", () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await openFixture();
  });
  afterEach(() => fixture.close());

  const partition = () => fixture.queue.partitions[0] as OpenPartition;
  const setWindow = (size: number) => fixture.client.set(`${fixture.queue.keys.gate}window`, size);

  it("admits the rest when staged tasks were removed and promoted by hand, and is right at once", async () => {
    const { queue, client } = fixture;
    await setWindow(0);
    for (const tenantId of ["a", "b", "c"]) await fixture.allow(tenantId, { maxConcurrent: 3 });
    const add = (tenantId: string, count: number, priority: "urgent" | "normal" | "batch") =>
      queue.addBulk(
        Array.from({ length: count }, (_, index) => ({
          tenantId,
          data: {},
          priority,
          jobId: `${tenantId}-${priority}-${index}`,
        })),
      );
    await Promise.all([add("a", 4, "normal"), add("b", 3, "urgent"), add("c", 2, "batch")]);
    await add("b", 2, "normal");
    // The first of a line, the last of a class, and all that a tenant has.
    for (const id of ["a-normal-0", "a-normal-1", "b-urgent-2", "c-batch-0", "c-batch-1"]) {
      expect(await queue.bullmq.remove(id)).toBe(1);
    }
    await (await queue.bullmq.getJob("b-urgent-0"))?.promote();
    await setWindow(100);
    // Two of a; of b one urgent, and two of the next class: the promoted one is not the gate's.
    expect((await queue.gate.feed()).admitted).toBe(5);
    const line = await client.zrange(`${queue.keys.bullmq}prioritized`, "0", "-1");
    expect(line.toSorted()).toEqual([
      "a-normal-2",
      "a-normal-3",
      "b-normal-0",
      "b-normal-1",
      "b-urgent-0",
      "b-urgent-1",
    ]);
    expect(await findViolations(queue)).toEqual([]);
    expect((await queue.gate.activeTenants()).toSorted()).toEqual(["a", "b"]);
  });

  it("are compared task by task only when the two count differently, or when told to", async () => {
    const { queue } = fixture;
    await setWindow(0);
    await queue.addBulk(
      [1, 2, 3, 4].map((n) => ({ tenantId: "acme", data: { n }, jobId: `j${n}` })),
    );
    const delayed = await queue.add({ tenantId: "acme", data: {}, delayMs: 60_000 });
    const addUnknown = async (jobId: string) => {
      const data = (await queue.bullmq.getJob(delayed.taskId))?.data as object;
      await queue.bullmq.add("copywriter", data, { jobId, delay: farDelayMs(Date.now()) });
    };
    const nothing = { freed: 0, dropped: 0, staged: 0 };
    expect(await partition().reconcile(false)).toEqual(nothing);
    await queue.bullmq.remove("j1");
    expect(await partition().reconcile(false)).toEqual({ ...nothing, dropped: 1 });
    await addUnknown("u1");
    expect(await partition().reconcile(false)).toEqual({ ...nothing, staged: 1 });
    await queue.bullmq.remove("j2");
    await addUnknown("u2");
    expect(await partition().reconcile(false)).toEqual(nothing);
    expect(await queue.reconcile()).toEqual({ freed: 0, dropped: 1, staged: 1 });
    expect(await findViolations(queue)).toEqual([]);
  });
});
