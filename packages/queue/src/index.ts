/**
 * A multi-tenant harness over BullMQ: exact caps per tenant, weighted fairness, quotas, token limits,
 * model providers, callbacks and events.
 *
 * @example
 * ```ts
 * import { createQueue, createQueueWorker, createTenantStore } from "@millrace/queue";
 *
 * const connection = { host: "127.0.0.1", port: 6379 };
 * const tenants = createTenantStore({
 *   connection,
 *   plans: { pro: { roles: { copywriter: { maxConcurrent: 2 } } } },
 *   defaultPlan: "pro",
 * });
 * const queue = createQueue<{ topic: string }, string>({ connection, role: "copywriter", tenants });
 * const worker = createQueueWorker({
 *   queue,
 *   handler: async (task) => `an article about ${task.data.topic}`,
 * });
 * for (const part of [tenants, queue, worker]) await part.start();
 * await queue.add({ tenantId: "acme", data: { topic: "mills" } });
 * for (const part of [worker, queue, tenants]) await part.close();
 * ```
 *
 * @module
 */
export { refuseWebhook, signWebhook, type WebhookHeaders } from "@millrace/core";
export {
  type CallbackRegistration,
  type Callbacks,
  createCallbacks,
} from "./callbacks/callbacks.ts";
export type { CallbacksOptions } from "./callbacks/callbacks-options.ts";
export type { ScheduleTime } from "./check-schedule.ts";
export type { DeadLetter, DeadLetters } from "./dead-letters.ts";
export { type DesiredWorkersAnswer, desiredWorkersEndpoint } from "./desired-workers-endpoint.ts";
export type { QueueErrorCode } from "./errors.ts";
export {
  createEventHub,
  type EventHub,
  type EventHubStatus,
  type TenantEvent,
} from "./events/event-hub.ts";
export type { EventHubOptions } from "./events/event-hub-options.ts";
export type { TenantDepth } from "./gate/gate.ts";
export { findViolations } from "./gate/invariants.ts";
export {
  createTokenLimits,
  type RemainingUsage,
  type Reservation,
  type ReservationRefused,
  type TokenLimits,
} from "./limits/token-limits.ts";
export type { TokenLimitsOptions, UsageLimits } from "./limits/token-limits-options.ts";
export type { QueuePartition } from "./partitions/queue-partition.ts";
export type { RebalanceResult } from "./partitions/rebalance.ts";
export type { AddedTask, NewTask } from "./new-task.ts";
export { anthropicAdapter } from "./providers/anthropic.ts";
export {
  httpAdapter,
  type HttpAdapterOptions,
  type HttpFormat,
  type StreamReader,
} from "./providers/http-adapter.ts";
export { ollamaAdapter } from "./providers/ollama.ts";
export { openaiChatAdapter } from "./providers/openai-chat.ts";
export { openaiResponsesAdapter } from "./providers/openai-responses.ts";
export type {
  ChatMessage,
  Completion,
  CompletionOptions,
  CompletionRequest,
  ProviderAdapter,
} from "./providers/provider.ts";
export {
  createProviders,
  type ProviderAnswer,
  type ProviderCall,
  type Providers,
} from "./providers/providers.ts";
export type { ProviderEntry, ProvidersOptions } from "./providers/providers-options.ts";
export { createQueue, type Queue, type TaskView } from "./queue.ts";
export { type QueueOptions, queueOptionsSchema } from "./queue-options.ts";
export type { DesiredWorkersOptions, QueueStatus } from "./queue-status.ts";
export type { RedisConnectionInput } from "./redis-client.ts";
export {
  createScheduler,
  type Scheduler,
  type SchedulerOptions,
  schedulerOptionsSchema,
} from "./scheduler.ts";
export type { StandardSchema } from "./standard-schema.ts";
export type { TaskPriority } from "./task.ts";
export type { PlanInput, RoleAllocationInput } from "./tenants/plan.ts";
export type { TenantAllocation } from "./tenants/tenant-allocation.ts";
export { createTenantStore, type TenantStore } from "./tenants/tenant-store.ts";
export type { TenantRecord, TenantStoreOptions } from "./tenants/tenant-store-options.ts";
export {
  createWebhookAdapter,
  type WebhookAdapter,
  type WebhookAdapterOptions,
} from "./webhook/webhook-adapter.ts";
export type { ChildResults, Children, ChildTask } from "./worker/children.ts";
export {
  createQueueWorker,
  type QueueWorker,
  type QueueWorkerStatus,
} from "./worker/queue-worker.ts";
export type {
  AwaitCallbackOptions,
  Task,
  TaskContext,
  TaskHandler,
} from "./worker/task-context.ts";
export { type QueueWorkerOptions, queueWorkerOptionsSchema } from "./worker/worker-options.ts";
export type { QueueWorkerEvents } from "./worker/worker-outcomes.ts";
