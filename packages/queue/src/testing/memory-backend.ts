import { configInvalid, parseOptions } from "@millrace/core";
import type * as z from "zod";
import { handleCallback } from "../callbacks/callback-handler.ts";
import { type Callbacks, tokenMaker } from "../callbacks/callbacks.ts";
import { type CallbacksOptions, callbacksOptionsSchema } from "../callbacks/callbacks-options.ts";
import type { EventHub } from "../events/event-hub.ts";
import { type EventHubOptions, eventHubOptionsSchema } from "../events/event-hub-options.ts";
import type { TokenLimits } from "../limits/token-limits.ts";
import {
  type TokenLimitsOptions,
  tokenLimitsOptionsSchema,
} from "../limits/token-limits-options.ts";
import type { Queue } from "../queue.ts";
import { type QueueOptions, queueOptionsSchema } from "../queue-options.ts";
import type { Scheduler, SchedulerOptions } from "../scheduler.ts";
import type { TenantStore } from "../tenants/tenant-store.ts";
import {
  type TenantStoreOptions,
  tenantStoreOptionsSchema,
} from "../tenants/tenant-store-options.ts";
import type { QueueWorker } from "../worker/queue-worker.ts";
import { type QueueWorkerOptions, queueWorkerOptionsSchema } from "../worker/worker-options.ts";
import { type FakeClock, ManualClock } from "./fake-clock.ts";
import { type MemoryBackendOptions, memoryBackendOptionsSchema } from "./memory-backend-options.ts";
import { MemoryEventHub } from "./memory-event-hub.ts";
import { MemoryQueue } from "./memory-queue.ts";
import { MemoryScheduler } from "./memory-scheduler.ts";
import { MemoryStore } from "./memory-store.ts";
import { MemoryTenantStore } from "./memory-tenant-store.ts";
import { MemoryTokenLimits } from "./memory-token-limits.ts";
import { MemoryWorker } from "./memory-worker.ts";

/** Options of a component without those that lead to Redis. */
export type WithoutConnection<Options> = Omit<Options, "connection" | "allowEviction">;

/** What the package's factories make, kept in this process and moved by a clock of its own. */
export interface MemoryBackend {
  readonly clock: FakeClock;
  /**
   * Waits until no handler runs and none can start before the clock moves. A handler that waits for the
   * clock or for its signal is waited for, too.
   */
  readonly settled: () => Promise<void>;
  readonly createTenantStore: (options: WithoutConnection<TenantStoreOptions>) => TenantStore;
  readonly createQueue: <Input = unknown, Output = unknown>(
    options: WithoutConnection<QueueOptions<Input, Output>>,
  ) => Queue<Input, Output>;
  readonly createQueueWorker: <Input = unknown, Output = unknown>(
    options: QueueWorkerOptions<Input, Output>,
  ) => QueueWorker;
  readonly createScheduler: <Input>(options: SchedulerOptions<Input>) => Scheduler<Input>;
  readonly createCallbacks: (options: CallbacksOptions) => Callbacks;
  readonly createTokenLimits: (options: WithoutConnection<TokenLimitsOptions>) => TokenLimits;
  readonly createEventHub: (options?: WithoutConnection<EventHubOptions>) => EventHub;
}

/**
 * Creates a backend in memory, for tests of code that adds and handles tasks. Components of one backend
 * see one another as if they shared a Redis: two of a role and prefix are two processes of one queue. They
 * are started and closed like the real ones and take the same options.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options; its factories throw it also for components of
 * another backend.
 */
export function createMemoryBackend(given: MemoryBackendOptions = {}): MemoryBackend {
  const { startAt } = parseOptions(memoryBackendOptionsSchema, given, "createMemoryBackend");
  const clock = new ManualClock(startAt ?? Date.now());
  const store = new MemoryStore(clock);
  const made = new WeakSet<object>();
  const remember = <Component extends object>(component: Component): Component => {
    made.add(component);
    return component;
  };
  const assertOurs = (component: unknown, factory: string, path: string) => {
    if (typeof component === "object" && component !== null && made.has(component)) return;
    throw configInvalid(factory, [{ path, problem: "expected what this backend in memory made" }]);
  };
  const memoryQueue = (queue: Queue, factory: string, path = "queue") => {
    assertOurs(queue, factory, path);
    return queue as MemoryQueue<unknown, unknown>;
  };
  return {
    clock,
    settled: () => store.settled(),
    createTenantStore(options) {
      const parsed = parse(tenantStoreOptionsSchema, options, "createTenantStore");
      return remember(new MemoryTenantStore(parsed, store));
    },
    createQueue<Input, Output>(options: WithoutConnection<QueueOptions<Input, Output>>) {
      const parsed = parse(queueOptionsSchema, options, "createQueue");
      assertOurs(parsed.tenants, "createQueue", "tenants");
      return remember(new MemoryQueue<Input, Output>(parsed, store));
    },
    createQueueWorker(options) {
      const parsed = parseOptions(queueWorkerOptionsSchema, options, "createQueueWorker");
      const { kept } = memoryQueue(parsed.queue, "createQueueWorker");
      return new MemoryWorker(parsed, kept, store);
    },
    createScheduler({ queue, logger }) {
      return new MemoryScheduler(memoryQueue(queue, "createScheduler"), logger);
    },
    createCallbacks(options) {
      const parsed = parseOptions(callbacksOptionsSchema, options, "createCallbacks");
      const queues = new Map(
        parsed.queues.map((queue, index) => [
          queue.role,
          memoryQueue(queue, "createCallbacks", `queues.${index}`),
        ]),
      );
      const deliverTo = (role: string) => {
        const kept = queues.get(role)?.kept;
        return (
          kept && (async (callback: Parameters<typeof kept.resume>[0]) => kept.resume(callback))
        );
      };
      return {
        fetch: (request) => handleCallback(request, parsed, deliverTo, clock.now()),
        tokenFor: tokenMaker(parsed),
      };
    },
    createTokenLimits(options) {
      const parsed = parse(tokenLimitsOptionsSchema, options, "createTokenLimits");
      return new MemoryTokenLimits(parsed, store);
    },
    createEventHub(options = {}) {
      return new MemoryEventHub(parse(eventHubOptionsSchema, options, "createEventHub"), store);
    },
  };
}

/** Parses as the real factory does, whose schema asks for a connection. */
function parse<Schema extends z.ZodType>(
  schema: Schema,
  options: object,
  factory: string,
): z.output<Schema> {
  return parseOptions(schema, { ...options, connection: {} }, factory);
}
