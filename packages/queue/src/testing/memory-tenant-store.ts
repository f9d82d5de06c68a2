import { type Health, Lifecycle, LifecycleComponent, parseOptions } from "@millrace/core";
import { queueError } from "../errors.ts";
import type { GateKeys } from "../gate/gate-keys.ts";
import {
  resolveAllocation,
  type TenantAllocation,
  unknownPlan,
} from "../tenants/tenant-allocation.ts";
import { assertTenantId } from "../tenants/tenant-id.ts";
import type { TenantStore } from "../tenants/tenant-store.ts";
import {
  type ResolvedTenantStoreOptions,
  type TenantRecord,
  tenantRecordSchema,
} from "../tenants/tenant-store-options.ts";
import type { MemoryStore } from "./memory-store.ts";

interface KeptTenants {
  version: number;
  records: Map<string, { version: number; record: TenantRecord | undefined }>;
  /** Queues that hear of changes, with their roles. */
  queues: Map<GateKeys, string>;
}

/** Tenants of a backend in memory. */
export class MemoryTenantStore extends LifecycleComponent implements TenantStore {
  readonly name = "tenants";
  readonly #options: ResolvedTenantStoreOptions;
  readonly #store: MemoryStore;
  readonly #kept: KeptTenants;
  protected readonly lifecycle = new Lifecycle({ name: this.name, open: () => {} });

  constructor(options: ResolvedTenantStoreOptions, store: MemoryStore) {
    super();
    this.#options = options;
    this.#store = store;
    this.#kept = store.shared(`tenants:${options.prefix}`, () => ({
      version: 0,
      records: new Map(),
      queues: new Map(),
    }));
  }

  health(): Health {
    return this.state === "running"
      ? { healthy: true }
      : { healthy: false, reason: `the tenant store is ${this.state}` };
  }

  async set(tenantId: string, record: TenantRecord): Promise<void> {
    assertTenantId(tenantId);
    const parsed: TenantRecord = parseOptions(tenantRecordSchema, record, `tenant ${tenantId}`);
    if (!Object.hasOwn(this.#options.plans, parsed.plan)) throw unknownPlan(tenantId, parsed.plan);
    this.#save(tenantId, parsed);
  }

  async get(tenantId: string): Promise<TenantRecord | undefined> {
    return this.#running().records.get(tenantId)?.record;
  }

  async delete(tenantId: string): Promise<void> {
    this.#save(tenantId, undefined);
  }

  async allocation(tenantId: string, role: string): Promise<TenantAllocation> {
    assertTenantId(tenantId);
    const stored = this.#running().records.get(tenantId) ?? { version: 0, record: undefined };
    return resolveAllocation(this.#options, { tenantId, role }, stored);
  }

  async list(): Promise<Array<{ tenantId: string; record: TenantRecord }>> {
    return [...this.#running().records].flatMap(([tenantId, { record }]) =>
      record === undefined ? [] : [{ tenantId, record }],
    );
  }

  async registerQueue(role: string, keys: GateKeys): Promise<void> {
    this.#running().queues.set(keys, role);
  }

  #save(tenantId: string, record: TenantRecord | undefined): void {
    const kept = this.#running();
    const stored = { version: ++kept.version, record };
    kept.records.set(tenantId, stored);
    if (record === undefined && this.#options.defaultPlan === undefined) return;
    for (const [keys, role] of kept.queues) {
      const { limits } = resolveAllocation(this.#options, { tenantId, role }, stored);
      this.#store.queue(keys).configureTenant(tenantId, { limits });
    }
  }

  #running(): KeptTenants {
    if (this.state === "running") return this.#kept;
    throw queueError(
      "QUEUE_CLOSED",
      `the tenant store is ${this.state}: call start() first, and close it last`,
    );
  }
}
