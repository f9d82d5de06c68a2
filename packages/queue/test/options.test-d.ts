import { expectTypeOf, it } from "vitest";
import type { z } from "zod";
import type {
  CallbacksOptions,
  callbacksOptionsSchema,
} from "../src/callbacks/callbacks-options.ts";
import type { EventHubOptions, eventHubOptionsSchema } from "../src/events/event-hub-options.ts";
import type {
  TokenLimitsOptions,
  tokenLimitsOptionsSchema,
} from "../src/limits/token-limits-options.ts";
import type {
  ProviderEntry,
  providerEntriesSchema,
  ProvidersOptions,
  providersOptionsSchema,
} from "../src/providers/providers-options.ts";
import type { QueueOptions, queueOptionsSchema } from "../src/queue-options.ts";
import type { PlanInput, planSchema } from "../src/tenants/plan.ts";
import type {
  TenantRecord,
  tenantRecordSchema,
  TenantStoreOptions,
  tenantStoreOptionsSchema,
} from "../src/tenants/tenant-store-options.ts";
import type {
  MemoryBackendOptions,
  memoryBackendOptionsSchema,
} from "../src/testing/memory-backend-options.ts";
import type { QueueWorkerOptions, queueWorkerOptionsSchema } from "../src/worker/worker-options.ts";

it("the options interfaces are what the schemas take", () => {
  expectTypeOf<z.input<typeof queueOptionsSchema>>().toEqualTypeOf<
    QueueOptions<unknown, unknown>
  >();
  expectTypeOf<z.input<typeof queueWorkerOptionsSchema>>().toEqualTypeOf<
    QueueWorkerOptions<unknown, unknown>
  >();
  expectTypeOf<z.input<typeof tenantStoreOptionsSchema>>().toEqualTypeOf<TenantStoreOptions>();
  expectTypeOf<z.input<typeof tenantRecordSchema>>().toEqualTypeOf<TenantRecord>();
  expectTypeOf<z.input<typeof planSchema>>().toEqualTypeOf<PlanInput>();
  expectTypeOf<z.input<typeof memoryBackendOptionsSchema>>().toEqualTypeOf<MemoryBackendOptions>();
  expectTypeOf<z.input<typeof eventHubOptionsSchema>>().toEqualTypeOf<EventHubOptions>();
  // The schema takes a readonly list, too, but cannot say so.
  expectTypeOf<Omit<z.input<typeof callbacksOptionsSchema>, "queues">>().toEqualTypeOf<
    Omit<CallbacksOptions, "queues">
  >();
  expectTypeOf<z.input<typeof callbacksOptionsSchema>>().toExtend<CallbacksOptions>();
  expectTypeOf<z.input<typeof tokenLimitsOptionsSchema>>().toEqualTypeOf<TokenLimitsOptions>();
  expectTypeOf<z.input<typeof providerEntriesSchema>>().toEqualTypeOf<ProviderEntry[]>();
  expectTypeOf<z.input<typeof providersOptionsSchema>>().toEqualTypeOf<ProvidersOptions>();
});

it("a handler sees the type that the queue carries", () => {
  type Options = QueueWorkerOptions<{ topic: string }, number>;
  expectTypeOf<Parameters<Options["handler"]>[0]["data"]>().toEqualTypeOf<{ topic: string }>();
  expectTypeOf<ReturnType<Options["handler"]>>().toEqualTypeOf<Promise<number>>();
});
