import * as z from "zod";
import type { RedisConnectionInput } from "../redis-client.ts";
import type { TenantStore } from "../tenants/tenant-store.ts";

/** How much may be used; a bucket holds what one period allows and refills steadily. */
export interface UsageLimits {
  /** Requests in any minute, above 0. @default no limit */
  requestsPerMinute?: number | undefined;
  /** Tokens of prompts in any minute, above 0. @default no limit */
  inputTokensPerMinute?: number | undefined;
  /** Tokens of answers in any minute, above 0. @default no limit */
  outputTokensPerMinute?: number | undefined;
  /** Input and output together in a day, above 0. @default no limit */
  tokensPerDay?: number | undefined;
}

/** Options of {@link createTokenLimits}. */
export interface TokenLimitsOptions {
  /** An ioredis client, which stays the caller's, or options for one of our own. */
  connection: RedisConnectionInput;
  /** Tells the plan of a tenant. */
  tenants: TenantStore;
  /** What each provider account allows, by its name. */
  accounts: Record<string, UsageLimits>;
  /** What each plan allows one tenant with each account. @default no limits of tenants */
  plans?: Record<string, UsageLimits> | undefined;
  /** First part of the keys. @default "q" */
  prefix?: string | undefined;
  /** After which time a call that was never settled counts as spent, in milliseconds. @default 600_000 */
  reservationMs?: number | undefined;
}

const usage = z.strictObject({
  requestsPerMinute: z.number().positive().optional(),
  inputTokensPerMinute: z.number().positive().optional(),
  outputTokensPerMinute: z.number().positive().optional(),
  tokensPerDay: z.number().positive().optional(),
});

export const tokenLimitsOptionsSchema = z.strictObject({
  connection: z.custom<RedisConnectionInput>(
    (value) => typeof value === "object" && value !== null,
  ),
  tenants: z.custom<TenantStore>((value) => typeof value === "object" && value !== null),
  accounts: z.record(z.string(), usage),
  plans: z.record(z.string(), usage).default({}),
  prefix: z.string().min(1).default("q"),
  reservationMs: z.int().positive().default(600_000),
});

export type ResolvedTokenLimitsOptions = z.output<typeof tokenLimitsOptionsSchema>;
