/**
 * A multi-tenant harness over BullMQ.
 *
 * @module
 */
export { createQueue, type Queue, type TaskView } from "./queue.ts";
export { createTenantStore, type TenantStore } from "./tenants/tenant-store.ts";
export { createQueueWorker, type QueueWorker } from "./worker/queue-worker.ts";
export { createCallbacks } from "./callbacks/callbacks.ts";
