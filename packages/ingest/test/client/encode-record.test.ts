import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeRecord } from "../../src/client/encode-record.ts";

const circular: Record<string, unknown> = {};
circular["self"] = circular;
const revoked = Proxy.revocable({}, {});
revoked.revoke();

describe("encodeRecord", () => {
  it.each<[string, unknown]>([
    ["a circular object", circular],
    ["a BigInt", { n: 1n }],
    ["a throwing toJSON", { toJSON: () => { throw new Error("no"); } }], // prettier-ignore
    [
      "a throwing getter",
      {
        get n() {
          throw new Error("no");
        },
      },
    ],
    [
      "a getter that throws null",
      {
        get n() {
          throw null as unknown as Error;
        },
      },
    ],
    ["a revoked proxy", revoked.proxy],
    ["undefined", undefined],
    ["null", null],
    ["a function", () => 1],
    ["a symbol", Symbol("no")],
    ["a number", 1],
    ["a string", "{}"],
    ["a list", [{}]],
    ["an object that says it is a string", { toJSON: () => "{}" }],
    ["a date", new Date()],
  ])("%s has no encoding, and throws nothing", (_, record) => {
    expect(encodeRecord(record)).toHaveProperty("problem");
  });

  it("an object nested too deep for JSON has no encoding", () => {
    let deep: object = {};
    for (let level = 0; level < 200_000; level++) deep = { deep };
    expect(encodeRecord(deep)).toHaveProperty("problem");
  });

  it("every other object is encoded as JSON.stringify does, on one line", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()), (record) => {
        expect(encodeRecord(record)).toEqual({ text: JSON.stringify(record) });
        expect(JSON.stringify(record)).not.toContain("\n");
      }),
      { numRuns: 50 },
    );
  });
});
