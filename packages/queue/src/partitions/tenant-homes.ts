import type { GateKeys } from "../gate/gate-keys.ts";
import type { RedisClient } from "../redis-client.ts";
import { rendezvous } from "./rendezvous.ts";

/** Field that says that the tenants of the queue before its first split are in the hash; no tenant id. */
const SEEDED = "#seeded";
const MAX_CACHED = 50_000;

/**
 * Which partition each tenant lives in. A tenant is given one by hash when it is first seen and keeps it,
 * however many partitions there are later, until it is moved: so that its cap is counted in one place.
 */
export class TenantHomes {
  readonly #client: RedisClient;
  readonly #key: string;
  readonly #names: readonly string[];
  readonly #cache = new Map<string, string>();

  /** `names` are what new tenants are spread over. */
  constructor(client: RedisClient, keys: GateKeys, names: readonly string[]) {
    this.#client = client;
    this.#key = `${keys.gate}homes`;
    this.#names = names;
  }

  /** False for a queue that was never split: everybody is in its one partition. */
  async exist(): Promise<boolean> {
    return (await this.#client.exists(this.#key)) === 1;
  }

  /** Before the first split all tenants are in `plain`; whoever starts meanwhile does the same. */
  async seed(plain: string, tenantIds: () => Promise<string[]>): Promise<void> {
    if ((await this.#client.hexists(this.#key, SEEDED)) === 1) return;
    for (const tenantId of await tenantIds()) await this.#client.hsetnx(this.#key, tenantId, plain);
    await this.#client.hset(this.#key, SEEDED, "1");
  }

  async of(tenantId: string): Promise<string> {
    const cached = this.#cache.get(tenantId);
    if (cached !== undefined) return cached;
    await this.#client.hsetnx(this.#key, tenantId, rendezvous(tenantId, this.#names));
    const home = (await this.#client.hget(this.#key, tenantId)) ?? this.wanted(tenantId);
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
    this.#cache.set(tenantId, home);
    return home;
  }

  /** Where the tenant would live if it were new. */
  wanted(tenantId: string): string {
    return rendezvous(tenantId, this.#names);
  }

  forget(tenantId: string): void {
    this.#cache.delete(tenantId);
  }

  async move(tenantId: string, name: string): Promise<void> {
    await this.#client.hset(this.#key, tenantId, name);
    this.forget(tenantId);
  }

  async all(): Promise<Map<string, string>> {
    const { [SEEDED]: _, ...homes } = await this.#client.hgetall(this.#key);
    return new Map(Object.entries(homes));
  }

  /** Partitions that somebody lives in, and those that new tenants get. */
  async names(): Promise<string[]> {
    return [...new Set([...this.#names, ...(await this.all()).values()])];
  }

  /** Runs `work` unless another process runs such work. @returns undefined when it does. */
  async exclusively<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    const lock = `${this.#key}:lock`;
    if ((await this.#client.set(lock, "1", "PX", 600_000, "NX")) === null) return undefined;
    try {
      return await work();
    } finally {
      await this.#client.del(lock);
    }
  }
}
