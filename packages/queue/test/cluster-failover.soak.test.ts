import { waitFor } from "@millrace/core/testing";
import { expect, it } from "vitest";
import { findViolations } from "../src/gate/invariants.ts";
import { useCluster } from "./support/cluster.ts";
import { openFixture } from "./support/fixture.ts";

const cluster = useCluster();

it("goes on after a primary is lost, without losing a task or a cap", async () => {
  const fixture = await openFixture({}, cluster.connect());
  try {
    const worker = await fixture.worker({ concurrency: 5, handler: () => Promise.resolve(1) });
    await fixture.queue.pauseTenant("acme");
    const added = await fixture.queue.addBulk(
      Array.from({ length: 20 }, (_, index) => ({
        tenantId: "acme",
        data: {},
        jobId: `f${index}`,
      })),
    );
    expect(added.filter((task) => task instanceof Error)).toEqual([]);
    await cluster.servers.healthy();
    const slot = await fixture.client.cluster("KEYSLOT", fixture.queue.gate.routingKeys[0]);
    await cluster.servers.killNode(Math.min(2, Math.floor(slot / 5_461)));
    await cluster.servers.healthy();
    await waitFor(() => fixture.queue.resumeTenant("acme").then(() => true), {
      timeoutMs: 20_000,
    });
    await waitFor(
      async () => (await fixture.queue.bullmq.getJobCounts("completed"))["completed"] === 20,
      { timeoutMs: 30_000 },
    );
    // The worker may not have heard of every end: replies were lost with the primary.
    expect(worker.status().failed).toBe(0);
    await waitFor(async () => (await findViolations(fixture.queue)).length === 0);
  } finally {
    await fixture.close();
  }
}, 60_000);
