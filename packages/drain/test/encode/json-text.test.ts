import { expect, test } from "vitest";
import { jsonProblem } from "../../src/encode/json-text.ts";

test("any depth that a client writes is taken, and far deeper is refused instead of overflowing", () => {
  const nested = (depth: number): unknown => JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`);
  expect(jsonProblem(nested(1_000))).toBeUndefined();
  expect(jsonProblem(nested(1_001))).toBe(
    'is nested more than 1000 levels deep (at "' + "0.".repeat(40) + '")',
  );
  expect(jsonProblem(nested(5_000))).toContain("is nested more than 1000 levels deep");
});

test("keys are checked as values are", () => {
  expect(jsonProblem({ a: { "b\0": 1 } })).toBe(
    'a key holds U+0000 at position 1, which PostgreSQL cannot store (at "a.b\\u0000")',
  );
  expect(jsonProblem({ "\ud800": 1 })).toContain("a key holds half of a surrogate pair");
});

test("the path leads to what is wrong", () => {
  expect(jsonProblem({ a: [1, { b: "\0" }] })).toContain('(at "a.1.b")');
  expect(jsonProblem("\0")).not.toContain("(at");
});

test("numbers that JSON may have rounded are refused, exact ones are not", () => {
  expect(
    jsonProblem([Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 0.1, 1e-7]),
  ).toBeUndefined();
  expect(jsonProblem([2 ** 53])).toContain("holds 9007199254740992, which is not exact");
  expect(jsonProblem([Infinity])).toContain("out of range");
});
