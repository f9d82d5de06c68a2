import { expect, test } from "vitest";
import { Authentication } from "../../src/api/authentication.ts";
import { RateLimiter } from "../../src/api/rate-limiter.ts";

test("a peer has a burst of twice its rate and gets it back with time; others are not concerned", () => {
  const limiter = new RateLimiter(1);
  expect([limiter.take("a", 0), limiter.take("a", 0), limiter.take("a", 0)]).toEqual([0, 0, 1]);
  expect(limiter.take("b", 0)).toBe(0);
  expect(limiter.take("a", 1_000)).toBe(0);
  expect(limiter.take("a", 1_000)).toBe(1);
});

test("a token is known by its whole text, and its scopes are all it may do", () => {
  const authentication = new Authentication([
    { name: "ops", token: "long-enough-token", scopes: ["read", "write"] },
    { name: "grafana", token: "for-reading-only", scopes: ["read"] },
  ]);
  expect(authentication.check("Bearer long-enough-token", "write")).toBe("ops");
  expect(authentication.check("bearer for-reading-only", "read")).toBe("grafana");
  expect(() => authentication.check("Bearer for-reading-only", "write")).toThrow("scope write");
  for (const wrong of [
    undefined,
    "",
    "Bearer",
    "Bearer long-enough-toke",
    "Basic long-enough-token",
  ]) {
    expect(() => authentication.check(wrong, "read")).toThrow(/token/);
  }
});
