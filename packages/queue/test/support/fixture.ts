import { silentLogger } from "@millrace/core";
import { Registry } from "prom-client";
import { createQueue, type Queue } from "../../src/queue.ts";
import type { QueueOptions } from "../../src/queue-options.ts";
import type { RedisClient } from "../../src/redis-client.ts";
import type { RoleAllocationInput } from "../../src/tenants/plan.ts";
import { createTenantStore, type TenantStore } from "../../src/tenants/tenant-store.ts";
import { createQueueWorker, type QueueWorker } from "../../src/worker/queue-worker.ts";
import type { QueueWorkerOptions } from "../../src/worker/worker-options.ts";
import { connect, uniquePrefix } from "./redis.ts";

export type Data = Record<string, unknown>;

export interface Fixture {
  prefix: string;
  tenants: TenantStore;
  queue: Queue<Data>;
  client: RedisClient;
  /** Sets what one tenant may do in the fixture's role. */
  allow(tenantId: string, allocation: RoleAllocationInput): Promise<void>;
  worker(options: Partial<QueueWorkerOptions<Data, unknown>>): Promise<QueueWorker>;
  close(): Promise<void>;
}

/**
 * A started tenant store and queue under a prefix of their own; everyone gets plan `basic` (cap 2). With
 * `tenants` and `prefix` of another fixture it is another process of the same system.
 */
export async function openFixture(
  options: Partial<QueueOptions<Data, unknown>> = {},
  client: RedisClient = connect(),
): Promise<Fixture> {
  const prefix = options.prefix ?? uniquePrefix();
  const tenants =
    options.tenants ??
    createTenantStore({
      connection: client,
      prefix,
      plans: { basic: { roles: { "*": { maxConcurrent: 2 } } } },
      defaultPlan: "basic",
      logger: silentLogger,
    });
  if (options.tenants === undefined) await tenants.start();
  const queue = createQueue<Data>({
    connection: client,
    prefix,
    role: "copywriter",
    tenants,
    logger: silentLogger,
    metrics: new Registry(),
    depthIntervalMs: 0,
    retryBackoffMs: 20,
    ...options,
  });
  await queue.start();
  const workers: QueueWorker[] = [];
  return {
    prefix,
    tenants,
    queue,
    client,
    allow: (tenantId, allocation) =>
      tenants.set(tenantId, { plan: "basic", roles: { [queue.role]: allocation } }),
    async worker(workerOptions) {
      const worker = createQueueWorker<Data>({
        queue,
        handler: () => Promise.resolve(undefined),
        logger: silentLogger,
        metrics: new Registry(),
        ...workerOptions,
      });
      await worker.start();
      workers.push(worker);
      return worker;
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.close({ graceMs: 200 })));
      if (queue.state === "running") await queue.obliterate();
      await queue.close();
      if (options.tenants === undefined) await tenants.close();
      await client.quit();
    },
  };
}
