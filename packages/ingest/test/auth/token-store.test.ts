import { describe, expect, it } from "vitest";
import { createTokenStore } from "../../src/auth/token-store.ts";

const secret = Buffer.from("ed2b0d3");

describe("createTokenStore", () => {
  it("accepts any hash as `default` when there are no tokens", async () => {
    const store = await createTokenStore([]);
    expect(store.nameOf(Buffer.from("0000000"))).toBe("default");
  });

  it("names a plain token by its hash and a named one by its name", async () => {
    const store = await createTokenStore(["secret", { name: "shop", token: "abc" }]);
    expect(store.nameOf(secret)).toBe("ed2b0d3");
    expect(store.nameOf(Buffer.from("06b05ab"))).toBe("shop");
    expect(store.nameOf(Buffer.from("06b05ac"))).toBeUndefined();
  });

  it("lets an old and a new token share a name", async () => {
    const store = await createTokenStore([
      { name: "shop", token: "abc" },
      { name: "shop", token: "secret" },
    ]);
    expect(store.nameOf(secret)).toBe("shop");
    expect(store.nameOf(Buffer.from("06b05ab"))).toBe("shop");
  });

  it("refuses two names for one hash, without showing the token", async () => {
    const tokens = [{ name: "shop", token: "secret" }, "secret"];
    await expect(createTokenStore(tokens)).rejects.toMatchObject({
      code: "INGEST_TOKENS_AMBIGUOUS",
      message: expect.not.stringContaining("secret"),
    });
  });
});
