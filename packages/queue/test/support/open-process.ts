import { silentLogger } from "@millrace/core";
import { Redis } from "ioredis";
import { createQueue } from "../../src/queue.ts";
import type { QueueOptions } from "../../src/queue-options.ts";
import { createTenantStore } from "../../src/tenants/tenant-store.ts";

/**
 * What a test process starts with: the test's Redis and prefix from the command line, the same tenants as
 * in {@link openFixture}, and a started queue. `args` are the rest of the command line.
 */
export async function openProcess(
  options: Partial<QueueOptions<Record<string, unknown>, unknown>> = {},
) {
  const [url = "", prefix = "", ...args] = process.argv.slice(2);
  const client = new Redis(url, { maxRetriesPerRequest: null });
  const tenants = createTenantStore({
    connection: client,
    prefix,
    plans: { basic: { roles: { "*": { maxConcurrent: 2 } } } },
    defaultPlan: "basic",
    logger: silentLogger,
  });
  await tenants.start();
  const queue = createQueue({
    connection: client,
    prefix,
    role: "copywriter",
    tenants,
    logger: silentLogger,
    ...options,
  });
  await queue.start();
  return { client, prefix, queue, args };
}
