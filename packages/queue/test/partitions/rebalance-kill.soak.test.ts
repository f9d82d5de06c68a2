import { spawn } from "node:child_process";
import { once } from "node:events";
import { waitFor } from "@millrace/core/testing";
import { expect, test } from "vitest";
import { homeOf, usePartitioned } from "../support/partitioned.ts";
import { redisService } from "../support/redis.ts";
import { violationsAtRest } from "../support/violations-at-rest.ts";

const REBALANCER = new URL("../fixtures/rebalancer.ts", import.meta.url).pathname;
const TENANTS = Array.from({ length: 24 }, (_, index) => `t${index}`);

const { open } = usePartitioned();

test("a rebalance that was killed leaves no tenant closed: it is ended by a worker's upkeep, wherever they now belong", async () => {
  const first = await open(3);
  const before = await first.worker({ partitions: [0], reconcileIntervalMs: 200 });
  const settled = await first.worker({ partitions: [1, 2], reconcileIntervalMs: 200 });
  await first.queue.addBulk(TENANTS.map((tenantId) => ({ tenantId, data: {} })));
  const done = () => before.status().completed + settled.status().completed;
  await waitFor(() => done() === TENANTS.length);
  await waitFor(async () => (await first.queue.status()).running === 0);
  await first.queue.pauseTenant("t0");
  await Promise.all([before.close(), settled.close()]);
  for (const [partitions, later] of [
    [2, 2],
    [5, 2],
  ] as const) {
    const child = spawn(
      process.execPath,
      [
        "--conditions=@millrace/source",
        REBALANCER,
        redisService.url,
        first.prefix,
        String(partitions),
      ],
      { stdio: ["ignore", "inherit", "inherit"] },
    );
    expect((await once(child, "exit"))[1]).toBe("SIGKILL");
    const moving = () => first.client.smembers(`${first.queue.keys.gate}homes:moving`);
    const closed = await moving();
    expect(closed.length).toBeGreaterThan(0);
    const next = await open(later);
    const worker = await next.worker({ reconcileIntervalMs: 200 });
    await waitFor(async () => (await moving()).length === 0, { timeoutMs: 15_000 });
    const names = ["agent__copywriter#0", "agent__copywriter#1"];
    for (const tenantId of closed) {
      expect(names).toContain(await homeOf(next, tenantId));
      await next.queue.add({ tenantId, data: {} });
    }
    await waitFor(
      () => worker.status().completed === closed.filter((tenantId) => tenantId !== "t0").length,
    );
    expect((await next.queue.status()).tenants.filter(({ isPaused }) => isPaused)).toHaveLength(
      closed.includes("t0") ? 1 : 0,
    );
    await worker.close();
  }
  expect(await violationsAtRest(first.queue)).toEqual([]);
});
