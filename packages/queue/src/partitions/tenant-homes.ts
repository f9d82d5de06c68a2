import { randomUUID } from "node:crypto";
import type { GateKeys } from "../gate/gate-keys.ts";
import type { RedisClient } from "../redis-client.ts";
import { rendezvous } from "./rendezvous.ts";

/** Field that says that the tenants of the queue before its first split are in the hash; no tenant id. */
const SEEDED = "#seeded";
const MAX_CACHED = 50_000;
/** Longer than any process that is well goes without renewing it. */
const LEASE_MS = 5_000;

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

  /** Tenants whose move has begun and not ended. */
  async moving(): Promise<string[]> {
    return this.#client.smembers(`${this.#key}:moving`);
  }

  /** Before anything of a move is done, so that whoever comes after a crash knows of it. */
  async beginMove(tenantId: string): Promise<void> {
    await this.#client.sadd(`${this.#key}:moving`, tenantId);
  }

  async endMove(tenantId: string): Promise<void> {
    await this.#client.srem(`${this.#key}:moving`, tenantId);
  }

  /**
   * Runs `work` unless another process runs such work. The lock is a short lease, renewed meanwhile: one
   * whose process was killed is free within seconds. One whose process stood still is lost: `work` asks
   * before it changes anything. @returns undefined when another has it.
   */
  async exclusively<Result>(
    work: (isHeld: () => Promise<boolean>) => Promise<Result>,
  ): Promise<Result | undefined> {
    const lock = `${this.#key}:lock`;
    const owner = randomUUID();
    const client = this.#client;
    if ((await client.set(lock, owner, "PX", LEASE_MS, "NX")) === null) return undefined;
    const renewal = setInterval(() => {
      client.pexpire(lock, LEASE_MS).catch(() => {});
    }, LEASE_MS / 5);
    renewal.unref();
    const isHeld = async () => (await client.get(lock)) === owner;
    try {
      return await work(isHeld);
    } finally {
      clearInterval(renewal);
      if (await isHeld()) await client.del(lock);
    }
  }
}
