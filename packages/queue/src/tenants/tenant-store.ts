import {
  type Component,
  type Health,
  Lifecycle,
  LifecycleComponent,
  parseOptions,
} from "@millrace/core";
import { queueError } from "../errors.ts";
import { Gate } from "../gate/gate.ts";
import type { GateKeys } from "../gate/gate-keys.ts";
import { prepareScripts, runScript } from "../lua-scripts.ts";
import { openRedis, type RedisClient, redisHealth } from "../redis-client.ts";
import { resolveAllocation, type TenantAllocation, unknownPlan } from "./tenant-allocation.ts";
import { assertTenantId } from "./tenant-id.ts";
import {
  type ResolvedTenantStoreOptions,
  type TenantRecord,
  tenantRecordSchema,
  type TenantStoreOptions,
  tenantStoreOptionsSchema,
} from "./tenant-store-options.ts";

/** Tenants, their plans and their own changes, kept in Redis and shared by all processes. */
export interface TenantStore extends Component {
  /**
   * Stores a tenant and tells every running queue at once.
   *
   * @throws {@link MillraceError} `CONFIG_INVALID` for a bad record, `QUEUE_TENANT_UNKNOWN` for a plan
   * that does not exist.
   */
  set(tenantId: string, record: TenantRecord): Promise<void>;
  /** The stored record, or undefined. */
  get(tenantId: string): Promise<TenantRecord | undefined>;
  /** Forgets a tenant; with a default plan it falls back to that. */
  delete(tenantId: string): Promise<void>;
  /**
   * What the tenant may do in a role.
   *
   * @throws {@link MillraceError} `QUEUE_TENANT_UNKNOWN` without a record and without a default plan.
   */
  allocation(tenantId: string, role: string): Promise<TenantAllocation>;
  /** Every stored tenant. */
  list(): Promise<Array<{ tenantId: string; record: TenantRecord }>>;
  /** @internal Makes a queue hear of changes. */
  registerQueue(role: string, keys: GateKeys): Promise<void>;
}

interface StoredRecord {
  version: number;
  record: TenantRecord | undefined;
  /** What was worked out of it, by role: adding a task asks each time. */
  allocations: Map<string, TenantAllocation>;
}

/**
 * Creates the store of tenants and plans.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options.
 */
export function createTenantStore(options: TenantStoreOptions): TenantStore {
  return new RedisTenantStore(parseOptions(tenantStoreOptionsSchema, options, "createTenantStore"));
}

class RedisTenantStore extends LifecycleComponent implements TenantStore {
  readonly name = "tenants";
  readonly #options: ResolvedTenantStoreOptions;
  protected readonly lifecycle: Lifecycle;
  readonly #cache = new Map<string, { readAt: number; stored: StoredRecord }>();
  #client: RedisClient | undefined;

  constructor(options: ResolvedTenantStoreOptions) {
    super();
    this.#options = options;
    this.lifecycle = new Lifecycle({
      name: this.name,
      open: async (closers, signal) => {
        const { connection, logger } = this.#options;
        const client = await openRedis(connection, { closers, signal, logger });
        prepareScripts(client);
        this.#client = client;
      },
    });
  }

  health(): Health {
    return redisHealth(this.#client);
  }

  async set(tenantId: string, record: TenantRecord): Promise<void> {
    assertTenantId(tenantId);
    const parsed: TenantRecord = parseOptions(tenantRecordSchema, record, `tenant ${tenantId}`);
    if (!Object.hasOwn(this.#options.plans, parsed.plan)) throw unknownPlan(tenantId, parsed.plan);
    await this.#save(tenantId, parsed);
  }

  async get(tenantId: string): Promise<TenantRecord | undefined> {
    return (await this.#read(tenantId)).record;
  }

  async delete(tenantId: string): Promise<void> {
    await this.#save(tenantId, undefined);
  }

  async allocation(tenantId: string, role: string): Promise<TenantAllocation> {
    assertTenantId(tenantId);
    const stored = await this.#cached(tenantId);
    let allocation = stored.allocations.get(role);
    if (allocation === undefined) {
      allocation = resolveAllocation(this.#options, { tenantId, role }, stored);
      stored.allocations.set(role, allocation);
    }
    return allocation;
  }

  async list(): Promise<Array<{ tenantId: string; record: TenantRecord }>> {
    const all = await this.#running().hgetall(this.#key("tenants"));
    return Object.entries(all).flatMap(([tenantId, text]) => {
      const { record } = parseStored(text);
      return record === undefined ? [] : [{ tenantId, record }];
    });
  }

  async registerQueue(role: string, keys: GateKeys): Promise<void> {
    await this.#running().hset(this.#key("queues"), keys.gate, JSON.stringify({ role, keys }));
  }

  async #save(tenantId: string, record: TenantRecord | undefined): Promise<void> {
    const client = this.#running();
    const text = record === undefined ? "" : JSON.stringify(record);
    const version = (await runScript(
      client,
      "save-tenant",
      [this.#key("tenants")],
      [tenantId, text],
    )) as number;
    const stored = { version, record, allocations: new Map<string, TenantAllocation>() };
    this.#cache.set(tenantId, { readAt: performance.now(), stored });
    const queues = await client.hvals(this.#key("queues"));
    await Promise.all(
      queues.map(async (entry) => {
        const { role, keys } = JSON.parse(entry) as { role: string; keys: GateKeys };
        const isKnown = record !== undefined || this.#options.defaultPlan !== undefined;
        if (!isKnown) return;
        const { limits } = resolveAllocation(this.#options, { tenantId, role }, stored);
        await new Gate(client, keys).configureTenant(tenantId, { limits });
      }),
    );
  }

  async #cached(tenantId: string): Promise<StoredRecord> {
    const cached = this.#cache.get(tenantId);
    if (cached && performance.now() - cached.readAt < this.#options.cacheMs) return cached.stored;
    const stored = await this.#read(tenantId);
    // A bound on memory; what is dropped is read again.
    if (this.#cache.size > 50_000) this.#cache.clear();
    this.#cache.set(tenantId, { readAt: performance.now(), stored });
    return stored;
  }

  async #read(tenantId: string): Promise<StoredRecord> {
    const text = await this.#running().hget(this.#key("tenants"), tenantId);
    return text === null ? emptyRecord() : parseStored(text);
  }

  #key(name: string): string {
    return `{${this.#options.prefix}:tenants}:${name}`;
  }

  #running(): RedisClient {
    if (this.#client === undefined || this.state !== "running") {
      throw queueError(
        "QUEUE_CLOSED",
        `the tenant store is ${this.state}: call start() first, and close it last`,
      );
    }
    return this.#client;
  }
}

function parseStored(text: string): StoredRecord {
  const colon = text.indexOf(":");
  if (colon < 0) return emptyRecord();
  return {
    version: Number(text.slice(0, colon)),
    record: JSON.parse(text.slice(colon + 1)) as TenantRecord,
    allocations: new Map(),
  };
}

function emptyRecord(): StoredRecord {
  return { version: 0, record: undefined, allocations: new Map() };
}
