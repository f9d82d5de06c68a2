import type { RemainingUsage } from "../limits/token-limits.ts";

type HeaderValues = Readonly<Record<string, string | string[] | undefined>>;
type Dimension = keyof RemainingUsage["remaining"];

/**
 * What each header bounds. OpenAI counts input and output together: what is left for both bounds each.
 * Anthropic's `anthropic-ratelimit-tokens-remaining` names whichever of its limits is closest, so it bounds nothing
 * by itself.
 */
const HEADERS: Record<string, readonly Dimension[]> = {
  "anthropic-ratelimit-requests-remaining": ["requestsPerMinute"],
  "anthropic-ratelimit-input-tokens-remaining": ["inputTokensPerMinute"],
  "anthropic-ratelimit-output-tokens-remaining": ["outputTokensPerMinute"],
  "x-ratelimit-remaining-requests": ["requestsPerMinute"],
  "x-ratelimit-remaining-tokens": ["inputTokensPerMinute", "outputTokensPerMinute"],
};

/** What a provider says is left of its limits, or undefined when it does not say; -1 says nothing. */
export function remainingLimits(headers: HeaderValues, now: number): RemainingUsage | undefined {
  const remaining: RemainingUsage["remaining"] = {};
  for (const [name, dimensions] of Object.entries(HEADERS)) {
    const text = headers[name];
    if (typeof text !== "string" || !/^\d+$/.test(text.trim())) continue;
    for (const dimension of dimensions) {
      remaining[dimension] = Math.min(
        remaining[dimension] ?? Number.POSITIVE_INFINITY,
        Number(text),
      );
    }
  }
  return Object.keys(remaining).length === 0 ? undefined : { remaining, readAt: now };
}
