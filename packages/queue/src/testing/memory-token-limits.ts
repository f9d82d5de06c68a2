import { randomUUID } from "node:crypto";
import { type Health, Lifecycle, LifecycleComponent } from "@millrace/core";
import { queueError } from "../errors.ts";
import { assertUsable, costOf, type Usage } from "../limits/buckets.ts";
import { accountKey, BLOCK_KEY, bucketsOfCall, type CallBucket } from "../limits/call-buckets.ts";
import type {
  RemainingUsage,
  Reservation,
  ReservationRefused,
  TokenLimits,
} from "../limits/token-limits.ts";
import type { ResolvedTokenLimitsOptions } from "../limits/token-limits-options.ts";
import type { MemoryStore } from "./memory-store.ts";
import { TokenBucket } from "./token-bucket.ts";

interface OpenReservation {
  buckets: readonly CallBucket[];
  /** When it counts as spent. */
  dueAt: number;
}

interface KeptAccount {
  buckets: Map<string, TokenBucket>;
  open: Map<string, OpenReservation>;
}

/** Token limits of a backend in memory. */
export class MemoryTokenLimits extends LifecycleComponent implements TokenLimits {
  readonly name = "token-limits";
  readonly #options: ResolvedTokenLimitsOptions;
  readonly #store: MemoryStore;
  protected readonly lifecycle = new Lifecycle({ name: this.name, open: () => {} });

  constructor(options: ResolvedTokenLimitsOptions, store: MemoryStore) {
    super();
    this.#options = options;
    this.#store = store;
  }

  health(): Health {
    return this.state === "running"
      ? { healthy: true }
      : { healthy: false, reason: `token limits are ${this.state}` };
  }

  async reserve({
    tenantId,
    account,
    estimate,
    id = randomUUID(),
  }: Parameters<TokenLimits["reserve"]>[0]): Promise<Reservation | ReservationRefused> {
    this.#assertRunning();
    const { plan } = await this.#options.tenants.allocation(tenantId, "*");
    const call = { tenantId, plan, account, estimate };
    const { buckets, dimensions } = bucketsOfCall(this.#options, call);
    const kept = this.#account(account);
    const now = this.#store.clock.now();
    for (const [openId, { dueAt }] of kept.open) if (dueAt <= now) kept.open.delete(openId);
    const granted: Reservation = { granted: true, id, account, dimensions };
    if (kept.open.has(id)) return granted;
    let longest: ReservationRefused | undefined;
    for (const bucket of buckets) {
      const waitMs = this.#bucket(kept, bucket).waitMs(bucket, now);
      if (waitMs > (longest?.waitMs ?? 0)) longest = { granted: false, waitMs, which: bucket.name };
    }
    if (longest) return { ...longest, waitMs: Math.ceil(longest.waitMs) };
    for (const bucket of buckets) this.#bucket(kept, bucket).take(bucket, now);
    kept.open.set(id, { buckets, dueAt: now + this.#options.reservationMs });
    return granted;
  }

  async settle(reservation: Reservation, actual: Usage, left?: RemainingUsage): Promise<void> {
    const { inputTokens, outputTokens } = actual;
    assertUsable("limits.settle", { inputTokens, outputTokens });
    const used = reservation.dimensions.map((dimension) => costOf(dimension, actual));
    // The block of the account comes first and costs nothing.
    this.#settle(reservation, left, [0, ...used]);
  }

  async refund(reservation: Reservation, left?: RemainingUsage): Promise<void> {
    this.#settle(reservation, left, []);
  }

  async block(account: string, waitMs: number): Promise<void> {
    assertUsable("limits.block", { waitMs });
    this.#assertRunning();
    const bucket = { key: BLOCK_KEY, capacity: 1 };
    this.#bucket(this.#account(account), bucket).block(this.#store.clock.now() + Math.ceil(waitMs));
  }

  async mayProbe(name: string, intervalMs: number): Promise<boolean> {
    this.#assertRunning();
    const { prefix } = this.#options;
    const probes = this.#store.shared(`probes:${prefix}`, () => new Map<string, number>());
    const now = this.#store.clock.now();
    if ((probes.get(name) ?? 0) > now) return false;
    probes.set(name, now + intervalMs);
    return true;
  }

  #settle(
    { id, account }: Reservation,
    left: RemainingUsage | undefined,
    used: readonly number[],
  ): void {
    this.#assertRunning();
    const kept = this.#account(account);
    const reservation = kept.open.get(id);
    if (!reservation) return;
    kept.open.delete(id);
    const now = this.#store.clock.now();
    const remaining = new Map(
      Object.entries(left?.remaining ?? {}).map(([dimension, value]) => [
        accountKey(dimension),
        value,
      ]),
    );
    for (const [index, bucket] of reservation.buckets.entries()) {
      const keptBucket = this.#bucket(kept, bucket);
      keptBucket.giveBack(bucket, bucket.cost - (used[index] ?? 0));
      const most = remaining.get(bucket.key);
      if (most === undefined || !left) continue;
      keptBucket.lower(bucket, { to: most, at: Math.min(now, left.readAt), now });
    }
  }

  #account(account: string): KeptAccount {
    return this.#store.shared(`limits:${this.#options.prefix}:${account}`, () => ({
      buckets: new Map(),
      open: new Map(),
    }));
  }

  #bucket(kept: KeptAccount, { key, capacity }: Pick<CallBucket, "key" | "capacity">): TokenBucket {
    let bucket = kept.buckets.get(key);
    if (!bucket) {
      bucket = new TokenBucket(capacity);
      kept.buckets.set(key, bucket);
    }
    return bucket;
  }

  #assertRunning(): void {
    if (this.state === "running") return;
    throw queueError(
      "QUEUE_CLOSED",
      `token limits are ${this.state}: use them between start() and close()`,
    );
  }
}
