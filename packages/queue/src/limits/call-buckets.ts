import { assertUsable, type BucketCost, bucketsOf, type Usage } from "./buckets.ts";
import type { ResolvedTokenLimitsOptions, UsageLimits } from "./token-limits-options.ts";

/** One of the buckets that a call is taken from. */
export interface CallBucket extends Omit<BucketCost, "dimension"> {
  /** In words, for whoever is refused. */
  name: string;
  /** Last part of its key, among those of the account. */
  key: string;
}

/** Key of the bucket that says until when an account is closed. */
export const BLOCK_KEY = "block";

/** Key of an account's own bucket. */
export function accountKey(dimension: string): string {
  return `a:${dimension}`;
}

/** The buckets of a call, the account's block first, and what they measure after that one. */
export function bucketsOfCall(
  { accounts, plans }: Pick<ResolvedTokenLimitsOptions, "accounts" | "plans">,
  call: { tenantId: string; plan: string; account: string; estimate: Usage },
): { buckets: CallBucket[]; dimensions: Array<keyof UsageLimits> } {
  const { tenantId, plan, account, estimate } = call;
  const { inputTokens, outputTokens } = estimate;
  assertUsable("limits.reserve", { inputTokens, outputTokens });
  const accountLimits = accounts[account];
  if (!accountLimits) throw new TypeError(`account ${account} is not among the options' accounts`);
  const tenantBuckets = bucketsOf(plans[plan] ?? {}, estimate);
  const accountBuckets = bucketsOf(accountLimits, estimate);
  return {
    buckets: [
      // The block of an account is a bucket that costs nothing: it only says "not before".
      { name: "account blocked", key: BLOCK_KEY, capacity: 1, refillPerMs: 1, cost: 0 },
      ...tenantBuckets.map(({ dimension, ...bucket }) => ({
        ...bucket,
        name: `tenant ${dimension}`,
        key: `t:${tenantId}:${dimension}`,
      })),
      ...accountBuckets.map(({ dimension, ...bucket }) => ({
        ...bucket,
        name: `account ${dimension}`,
        key: accountKey(dimension),
      })),
    ],
    dimensions: [...tenantBuckets, ...accountBuckets].map(({ dimension }) => dimension),
  };
}
