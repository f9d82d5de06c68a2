import { waitFor } from "@millrace/core/testing";
import { describe } from "vitest";
import { createCallbacks } from "../../src/callbacks/callbacks.ts";
import { createEventHub } from "../../src/events/event-hub.ts";
import { createTokenLimits } from "../../src/limits/token-limits.ts";
import { createQueue } from "../../src/queue.ts";
import { createScheduler } from "../../src/scheduler.ts";
import { createTenantStore } from "../../src/tenants/tenant-store.ts";
import { createQueueWorker } from "../../src/worker/queue-worker.ts";
import { connect, uniquePrefix } from "../support/redis.ts";
import { violationsAtRest } from "../support/violations-at-rest.ts";
import type { Backend } from "./backend.ts";
import { queueContract } from "./contract.ts";

async function openRedis(): Promise<Backend> {
  const connection = connect();
  const shared = { connection, prefix: uniquePrefix() };
  return {
    now: Date.now,
    until: (condition) => waitFor(condition),
    createTenantStore: (options) => createTenantStore({ ...options, ...shared }),
    createQueue: (options) => createQueue({ ...options, ...shared }),
    createQueueWorker,
    createScheduler,
    createCallbacks,
    createTokenLimits: (options) => createTokenLimits({ ...options, ...shared }),
    createEventHub: (options) => createEventHub({ ...options, ...shared }),
    violations: violationsAtRest,
    async close() {
      await connection.quit();
    },
  };
}

describe("the contract of the queue, in Redis", () => {
  queueContract(openRedis);
});
