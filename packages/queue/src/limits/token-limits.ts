import { randomUUID } from "node:crypto";
import {
  type Component,
  type Health,
  Lifecycle,
  LifecycleComponent,
  parseOptions,
} from "@millrace/core";
import { queueError } from "../errors.ts";
import { prepareScripts, runScript } from "../lua-scripts.ts";
import { openRedis, type RedisClient, redisHealth } from "../redis-client.ts";
import { assertUsable, costOf, type Usage } from "./buckets.ts";
import { accountKey, BLOCK_KEY, bucketsOfCall } from "./call-buckets.ts";
import {
  type ResolvedTokenLimitsOptions,
  type TokenLimitsOptions,
  tokenLimitsOptionsSchema,
  type UsageLimits,
} from "./token-limits-options.ts";

/** Leave to make one call. */
export interface Reservation {
  readonly granted: true;
  readonly id: string;
  readonly account: string;
  readonly dimensions: ReadonlyArray<keyof UsageLimits>;
}

/** No leave yet. */
export interface ReservationRefused {
  readonly granted: false;
  /** When it is worth asking again, in milliseconds from now. */
  readonly waitMs: number;
  /** What to wait for, such as `tenant inputTokensPerMinute`. */
  readonly which: string;
}

/** What a provider said is left of an account's limits. */
export interface RemainingUsage {
  remaining: Omit<UsageLimits, "tokensPerDay">;
  /** When it said so, in Unix milliseconds of this process. */
  readAt: number;
}

/** Requests and tokens per time, of tenants and of provider accounts, shared by all processes. */
export interface TokenLimits extends Component {
  /**
   * Takes a call's estimated use from the tenant's and the account's buckets, from all or from none.
   *
   * @param request.id asking twice under one id takes once. @default a random UUID
   * @throws {@link MillraceError} `CONFIG_INVALID` for an estimate that is no finite number from 0, as
   * {@link TokenLimits.settle} and {@link TokenLimits.block} do.
   */
  reserve(request: {
    tenantId: string;
    account: string;
    estimate: Usage;
    id?: string;
  }): Promise<Reservation | ReservationRefused>;
  /**
   * Corrects a reservation by what was used, and the account's buckets down to what its provider says is
   * left, in one step; the first settlement counts.
   */
  settle(reservation: Reservation, actual: Usage, left?: RemainingUsage): Promise<void>;
  /** Gives a reservation back whose call never left, or was refused. */
  refund(reservation: Reservation, left?: RemainingUsage): Promise<void>;
  /** Closes an account for every process, as its provider asked. */
  block(account: string, waitMs: number): Promise<void>;
  /** Leave to probe something at most once per `intervalMs` among all processes. */
  mayProbe(name: string, intervalMs: number): Promise<boolean>;
}

/**
 * Creates token limits: lazily refilled buckets in Redis, read by the server's clock.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options.
 */
export function createTokenLimits(options: TokenLimitsOptions): TokenLimits {
  return new RedisTokenLimits(parseOptions(tokenLimitsOptionsSchema, options, "createTokenLimits"));
}

class RedisTokenLimits extends LifecycleComponent implements TokenLimits {
  readonly name = "token-limits";
  readonly #options: ResolvedTokenLimitsOptions;
  protected readonly lifecycle: Lifecycle;
  #client: RedisClient | undefined;

  constructor(options: ResolvedTokenLimitsOptions) {
    super();
    this.#options = options;
    this.lifecycle = new Lifecycle({
      name: this.name,
      open: async (closers, signal) => {
        const client = await openRedis(options.connection, { closers, signal });
        prepareScripts(client);
        this.#client = client;
      },
    });
  }

  health(): Health {
    return redisHealth(this.#client);
  }

  async reserve({
    tenantId,
    account,
    estimate,
    id = randomUUID(),
  }: Parameters<TokenLimits["reserve"]>[0]): Promise<Reservation | ReservationRefused> {
    const { plan } = await this.#options.tenants.allocation(tenantId, "*");
    const { buckets, dimensions } = bucketsOfCall(this.#options, {
      tenantId,
      plan,
      account,
      estimate,
    });
    const args = buckets.flatMap(({ key, capacity, refillPerMs, cost }) => [
      this.#key(account, key),
      capacity,
      refillPerMs,
      cost,
    ]);
    const [granted, waitMs = 0, which = 0] = (await runScript(
      this.#running(),
      "reserve-tokens",
      [this.#key(account, "open")],
      ["", id, this.#options.reservationMs, ...args],
    )) as [number, number?, number?];
    if (granted !== 1) return { granted: false, waitMs, which: buckets[which]?.name ?? "" };
    return { granted: true, id, account, dimensions };
  }

  async settle(reservation: Reservation, actual: Usage, left?: RemainingUsage): Promise<void> {
    const { inputTokens, outputTokens } = actual;
    assertUsable("limits.settle", { inputTokens, outputTokens });
    const used = reservation.dimensions.map((dimension) => costOf(dimension, actual));
    // The block of the account comes first and costs nothing.
    await this.#settle(reservation, left, [0, ...used]);
  }

  async refund(reservation: Reservation, left?: RemainingUsage): Promise<void> {
    await this.#settle(reservation, left, []);
  }

  async #settle(
    { id, account }: Reservation,
    left: RemainingUsage | undefined,
    used: readonly number[],
  ): Promise<void> {
    const byKey = Object.entries(left?.remaining ?? {}).map(([dimension, value]) => [
      this.#key(account, accountKey(dimension)),
      value,
    ]);
    await runScript(
      this.#running(),
      "settle-tokens",
      [this.#key(account, "open")],
      [
        id,
        left ? Math.max(0, Date.now() - left.readAt) : 0,
        left ? JSON.stringify(Object.fromEntries(byKey)) : "",
        ...used,
      ],
    );
  }

  async block(account: string, waitMs: number): Promise<void> {
    assertUsable("limits.block", { waitMs });
    const key = this.#key(account, BLOCK_KEY);
    await runScript(this.#running(), "block-bucket", [key], [Math.ceil(waitMs)]);
  }

  async mayProbe(name: string, intervalMs: number): Promise<boolean> {
    const key = this.#key(name, "probe");
    return (await this.#running().set(key, "1", "PX", intervalMs, "NX")) === "OK";
  }

  /** One tag per account: its buckets and its tenants' are taken from in one script. */
  #key(account: string, name: string): string {
    return `{${this.#options.prefix}:limits:${account}}:${name}`;
  }

  #running(): RedisClient {
    if (this.#client && this.state === "running") return this.#client;
    throw queueError(
      "QUEUE_CLOSED",
      `token limits are ${this.state}: use them between start() and close()`,
    );
  }
}
