import { silentLogger } from "@millrace/core";
import { waitFor } from "@millrace/core/testing";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { createEventHub } from "../src/events/event-hub.ts";
import { createTokenLimits } from "../src/limits/token-limits.ts";
import { useCluster } from "./support/cluster.ts";
import { ConcurrencyMeter } from "./support/concurrency-meter.ts";
import { openFixture } from "./support/fixture.ts";
import { listen } from "./support/listen.ts";
import { violationsAtRest } from "./support/violations-at-rest.ts";

describe("on a Redis Cluster of three primaries and three replicas", () => {
  const cluster = useCluster();

  it("spreads roles over slots and keeps every cap", async () => {
    const roles = ["copywriter", "seo-specialist", "data-analyst"];
    const fixtures = await Promise.all(
      roles.map((role) => openFixture({ role }, cluster.connect())),
    );
    const slots = new Set<number>();
    const meters: ConcurrencyMeter[] = [];
    try {
      await Promise.all(
        fixtures.map(async (fixture) => {
          slots.add(await fixture.client.cluster("KEYSLOT", fixture.queue.gate.routingKeys[0]));
          const meter = new ConcurrencyMeter();
          meters.push(meter);
          const worker = await fixture.worker({
            concurrency: 10,
            handler: async ({ tenantId }) => {
              await meter.work(tenantId, 2);
              return 1;
            },
          });
          await fixture.queue.addBulk(
            Array.from({ length: 100 }, (_, index) => ({
              tenantId: `t${index % 4}`,
              data: { index },
            })),
          );
          await waitFor(() => worker.status().completed === 100);
          expect(worker.status().parked).toBe(0);
          expect(await violationsAtRest(fixture.queue)).toEqual([]);
        }),
      );
      expect(Math.max(...meters.map(({ highest }) => highest))).toBe(2);
      expect(slots.size).toBeGreaterThan(1);
    } finally {
      await Promise.all(fixtures.map((fixture) => fixture.close()));
    }
  });

  it("spreads the partitions of one role over primaries, keeps every cap and cancels in all of them", async () => {
    const fixture = await openFixture({ partitions: 6 }, cluster.connect());
    try {
      const { queue, client } = fixture;
      const slots = await Promise.all(
        queue.partitions.map(({ keys }) => client.cluster("KEYSLOT", `${keys.bullmq}meta`)),
      );
      expect(new Set(slots.map((slot) => Math.floor(slot / 5_462))).size).toBeGreaterThan(1);
      const meter = new ConcurrencyMeter();
      let aborted = 0;
      const worker = await fixture.worker({
        concurrency: 10,
        handler: async ({ tenantId, data }, { signal }) => {
          if (data["kind"] === "endless") {
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
            aborted++;
            return 0;
          }
          await meter.work(tenantId, 2);
          return 1;
        },
      });
      await queue.addBulk(
        Array.from({ length: 240 }, (_, index) => ({ tenantId: `t${index % 24}`, data: {} })),
      );
      await waitFor(() => worker.status().completed === 240);
      expect(meter.highest).toBe(2);
      const endless = await queue.addBulk(
        Array.from({ length: 12 }, (_, index) => ({
          tenantId: `t${index}`,
          data: { kind: "endless" },
        })),
      );
      await waitFor(() => worker.status().running === 12);
      for (const task of endless) {
        expect(!(task instanceof Error) && (await queue.cancel(task.taskId))).toBe(true);
      }
      await waitFor(() => aborted === 12);
      expect(await violationsAtRest(queue)).toEqual([]);
      expect(await queue.status()).toMatchObject({ staged: 0, running: 0, failed: 0 });
    } finally {
      await fixture.close();
    }
  });

  it("serves events over sharded publish and subscribe, also those of a moment without connections, and takes tokens from one slot", async () => {
    const client = cluster.connect();
    const fixture = await openFixture({}, client);
    const hub = createEventHub({
      connection: fixture.client,
      prefix: fixture.prefix,
      logger: silentLogger,
      metrics: new Registry(),
    });
    const limits = createTokenLimits({
      connection: fixture.client,
      tenants: fixture.tenants,
      prefix: fixture.prefix,
      accounts: { main: { requestsPerMinute: 3 } },
    });
    await Promise.all([hub.start(), limits.start()]);
    try {
      const heard = listen(await hub.sse("acme"));
      await hub.publish("acme", { type: "x", data: 0 });
      await waitFor(() => heard.data().length === 1);
      for (const node of client.nodes("all")) {
        await node.call("CLIENT", "KILL", "TYPE", "pubsub");
      }
      for (let n = 1; n < 5; n++) await hub.publish("acme", { type: "x", data: n });
      await waitFor(() => heard.data().length === 5, { timeoutMs: 20_000 });
      expect(heard.data()).toEqual([0, 1, 2, 3, 4]);
      const asks = await Promise.all(
        Array.from({ length: 10 }, () =>
          limits.reserve({
            tenantId: "acme",
            account: "main",
            estimate: { inputTokens: 1, outputTokens: 1 },
          }),
        ),
      );
      expect(asks.filter(({ granted }) => granted)).toHaveLength(3);
    } finally {
      await hub.close();
      await limits.close();
      await fixture.close();
    }
  });
});
