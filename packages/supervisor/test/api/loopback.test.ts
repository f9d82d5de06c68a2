import { expect, test } from "vitest";
import { isLoopback } from "../../src/api/loopback.ts";

test.each([
  ["localhost", true],
  ["127.0.0.1", true],
  ["127.8.9.1", true],
  ["::1", true],
  ["[::1]", true],
  ["0.0.0.0", false],
  ["127.evil.example", false],
  ["10.0.0.1", false],
  ["example.com", false],
])("%s is loopback: %s", (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});
