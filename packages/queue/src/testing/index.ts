/**
 * The queue in memory, with a clock that tests move: for tests of handlers, tenants, limits, callbacks
 * and events without Redis.
 *
 * @example
 * ```ts
 * import { createMemoryBackend } from "@millrace/queue/testing";
 *
 * const backend = createMemoryBackend();
 * const tenants = backend.createTenantStore({
 *   plans: { free: { roles: { copywriter: {} } } },
 *   defaultPlan: "free",
 * });
 * const queue = backend.createQueue<{ topic: string }>({ role: "copywriter", tenants });
 * const worker = backend.createQueueWorker({
 *   queue,
 *   handler: async (task) => `about ${task.data.topic}`,
 * });
 * for (const part of [tenants, queue, worker]) await part.start();
 * const { taskId } = await queue.add({ tenantId: "acme", data: { topic: "mills" }, delayMs: 60_000 });
 * await backend.clock.advance(60_000);
 * const done = await queue.get(taskId);
 * ```
 *
 * @module
 */
export type { FakeClock } from "./fake-clock.ts";
export type { MemoryBackendOptions } from "./memory-backend-options.ts";
export {
  createMemoryBackend,
  type MemoryBackend,
  type WithoutConnection,
} from "./memory-backend.ts";
