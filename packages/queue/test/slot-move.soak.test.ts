import { waitFor } from "@millrace/core/testing";
import type { RedisCluster } from "@millrace/services";
import { Redis } from "ioredis";
import { describe, expect, it } from "vitest";
import { useCluster } from "./support/cluster.ts";
import { ConcurrencyMeter } from "./support/concurrency-meter.ts";
import { openFixture } from "./support/fixture.ts";
import { violationsAtRest } from "./support/violations-at-rest.ts";

describe("on a Redis Cluster of three primaries and three replicas", () => {
  const cluster = useCluster();

  it("loses no task and exceeds no cap while the queue's slot moves between primaries under load", async () => {
    const fixture = await openFixture({}, cluster.connect());
    const { queue, client } = fixture;
    const meter = new ConcurrencyMeter();
    const done = new Set<string>();
    try {
      await fixture.worker({
        concurrency: 10,
        lockDurationMs: 2_000,
        stalledIntervalMs: 500,
        reconcileIntervalMs: 300,
        handler: async ({ tenantId, taskId }) => {
          await meter.work(tenantId, 2);
          done.add(taskId);
          return 1;
        },
      });
      const slot = await client.cluster("KEYSLOT", queue.gate.routingKeys[0]);
      const acknowledged: string[] = [];
      let isMoving = true;
      const failures: unknown[] = [];
      const adding = Array.from({ length: 4 }, async (_, producer) => {
        for (let index = 0; isMoving || index < 50; index++) {
          const jobId = `p${producer}-${index}`;
          await queue
            .add({ tenantId: `t${index % 8}`, data: {}, jobId })
            .then(() => acknowledged.push(jobId))
            .catch((error: unknown) => failures.push(error));
        }
      });
      await waitFor(() => done.size > 20);
      let moved = 0;
      for (const keysAtOnce of [50, 10, 3]) {
        moved += await moveSlot(cluster.servers, slot, keysAtOnce);
        const before = done.size;
        await waitFor(() => done.size > before + 50, { timeoutMs: 30_000 });
      }
      isMoving = false;
      await Promise.all(adding);
      expect(failures).toEqual([]);
      expect(moved).toBeGreaterThan(20);
      await waitFor(() => acknowledged.every((id) => done.has(id)), { timeoutMs: 40_000 });
      expect(meter.highest).toBe(2);
      await waitFor(async () => (await queue.gate.activeTenants()).length === 0, {
        timeoutMs: 20_000,
      });
      expect(await violationsAtRest(queue)).toEqual([]);
    } finally {
      await fixture.close();
    }
  }, 90_000);
});

/**
 * Moves a slot to another primary, some keys at a time, as `redis-cli --cluster reshard` does.
 * @returns how many keys.
 */
async function moveSlot(cluster: RedisCluster, slot: number, keysAtOnce: number): Promise<number> {
  const servers = cluster.nodes.map(({ port }) => new Redis({ port }));
  try {
    const table = await Promise.all(
      servers.map(async (server, index) => ({
        server,
        port: cluster.nodes[index]?.port ?? 0,
        id: await server.cluster("MYID"),
        isPrimary: (await server.role())[0] === "master",
      })),
    );
    const primaries = table.filter(({ isPrimary }) => isPrimary);
    const ranges = (await primaries[0]?.server.cluster("SLOTS")) ?? [];
    const range = ranges.find(([low, high]) => slot >= low && slot <= high);
    const source = primaries.find(({ port }) => port === range?.[2]?.[1]);
    const target = primaries.find((one) => one !== source);
    if (!source || !target) throw new Error(`no primary serves slot ${slot}`);
    await target.server.cluster("SETSLOT", slot, "IMPORTING", source.id);
    await source.server.cluster("SETSLOT", slot, "MIGRATING", target.id);
    let moved = 0;
    for (;;) {
      const keys = await source.server.cluster("GETKEYSINSLOT", slot, keysAtOnce);
      if (keys.length === 0) break;
      await source.server.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", ...keys);
      moved += keys.length;
    }
    for (const { server } of [target, source, ...primaries]) {
      await server.cluster("SETSLOT", slot, "NODE", target.id);
    }
    return moved;
  } finally {
    for (const server of servers) server.disconnect();
  }
}
