import { describe, expect, it } from "vitest";
import { parseDuration, retryAfterMs } from "../../src/providers/retry-after.ts";

const NOW = Date.UTC(2026, 0, 1);

describe("how long a provider asks to wait", () => {
  it.each([
    [{}, undefined],
    [{ "retry-after": "20" }, 20_000],
    [{ "retry-after": "0.5" }, 500],
    [{ "retry-after": new Date(NOW + 30_000).toUTCString() }, 30_000],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "-1" }, undefined],
    [{ "retry-after": "20", "retry-after-ms": "1500" }, 1_500],
    [{ "retry-after": "999999999" }, 24 * 3_600_000],
    [
      {
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": new Date(NOW + 9_000).toISOString(),
        "anthropic-ratelimit-requests-remaining": "10",
        "anthropic-ratelimit-requests-reset": new Date(NOW + 60_000).toISOString(),
      },
      9_000,
    ],
    [{ "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s" }, 360_000],
    [{ "x-ratelimit-reset-requests": "-1" }, undefined],
    [{ "x-ratelimit-reset-requests": "0" }, undefined],
  ])("reads %j as %s ms", (headers, expected) => {
    expect(retryAfterMs(headers, NOW)).toBe(expected);
  });

  it.each([
    ["12ms", 12],
    ["1s", 1_000],
    ["6m0s", 360_000],
    ["1h2m3.5s", 3_723_500],
    ["1.5s", 1_500],
  ])("reads the duration %s", (text, expected) => {
    expect(parseDuration(text)).toBe(expected);
  });

  it.each(["", "-1", "x", "1", "s", "1d"])("takes %j for no duration", (text) => {
    expect(parseDuration(text)).toBeNaN();
  });
});
