import { expect, it } from "vitest";
import { tokenHash } from "../../src/auth/token-hash.ts";

it.each([
  ["", "99aa06d"],
  ["abc", "06b05ab"],
  ["secret", "ed2b0d3"],
  ["nightwatch", "59b55e9"],
  ["nightwatch-test-token", "d85d1c3"],
  ["nw_0123456789abcdef0123456789abcdef", "901eac6"],
  ["tökén-ünïcode ✓", "3c4bad8"],
  ["x".repeat(128), "fd990d0"],
  ["0123456789".repeat(20), "3002ce7"],
  ["0123456789abcdef".repeat(20), "6dc401c"],
])("hashes %j as PHP's xxh128 does", async (token, hash) => {
  expect(await tokenHash(token)).toBe(hash);
});
