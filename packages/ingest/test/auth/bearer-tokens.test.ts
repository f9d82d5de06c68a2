import { expect, it } from "vitest";
import { createBearerTokens } from "../../src/auth/bearer-tokens.ts";

it("names a whole token, not its hash or a part of it", async () => {
  const nameOf = await createBearerTokens(["secret", { name: "shop", token: "abc" }]);
  expect(nameOf("Bearer secret")).toBe("ed2b0d3");
  expect(nameOf("bearer  abc ")).toBe("shop");
  for (const wrong of [
    undefined,
    "",
    "abc",
    "Bearer",
    "Bearer ab",
    "Bearer ed2b0d3",
    "Basic abc",
  ]) {
    expect(nameOf(wrong)).toBeUndefined();
  }
});

it("takes every request under one name when there are no tokens", async () => {
  const nameOf = await createBearerTokens([]);
  expect([nameOf(undefined), nameOf("Bearer x")]).toEqual(["default", "default"]);
});
