import { expect, it } from "vitest";
import { remainingLimits } from "../../src/providers/remaining-limits.ts";

it.each([
  [
    {
      "anthropic-ratelimit-requests-remaining": "49",
      "anthropic-ratelimit-input-tokens-remaining": "39000",
      "anthropic-ratelimit-output-tokens-remaining": "0",
      "anthropic-ratelimit-tokens-remaining": "5",
    },
    { requestsPerMinute: 49, inputTokensPerMinute: 39_000, outputTokensPerMinute: 0 },
  ],
  [
    { "x-ratelimit-remaining-requests": "7", "x-ratelimit-remaining-tokens": "1500" },
    { requestsPerMinute: 7, inputTokensPerMinute: 1_500, outputTokensPerMinute: 1_500 },
  ],
  [{ "x-ratelimit-remaining-requests": "-1", "x-ratelimit-remaining-tokens": "" }, undefined],
  [{ "x-ratelimit-remaining-tokens": ["1", "2"], "retry-after": "3" }, undefined],
])("what is left is read of %j", (headers, remaining) => {
  expect(remainingLimits(headers, 5)).toEqual(remaining && { remaining, readAt: 5 });
});
