import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { recordText, RecordTexts } from "../../src/batch/record-span.ts";

const whitespace = fc.string({ unit: fc.constantFrom(" ", "\n", "\t", "\r"), maxLength: 3 });

/** A JSON value and one of the many ways to write it. */
function rendered(): fc.Arbitrary<string> {
  const { value } = fc.letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.oneof(
        fc.constantFrom("null", "true", "-0", "1E400", "12345678901234567890123", '"\\u00e9\\\\"'),
        fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
        fc.stringMatching(/^[[\]{},"\\:]*$/).map((text) => JSON.stringify(text)),
        fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
      ),
      fc.array(spaced(tie("value")), { maxLength: 4 }).map((items) => `[${items.join(",")}]`),
      fc
        .array(
          fc.tuple(spaced(fc.string().map((key) => JSON.stringify(key))), spaced(tie("value"))),
          {
            maxLength: 4,
          },
        )
        .map((entries) => `{${entries.map(([key, item]) => `${key}:${item}`).join(",")}}`),
    ),
  }));
  return value;
}

function spaced(value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(whitespace, value, whitespace).map((parts) => parts.join(""));
}

describe("recordText", () => {
  it("gives the exact text of every element, however the array is written", () => {
    fc.assert(
      fc.property(fc.array(rendered(), { maxLength: 8 }), whitespace, (elements, space) => {
        const text = `${space}[${elements.map((element) => space + element + space).join(",")}]${space}`;
        const parsed = JSON.parse(text) as unknown[];
        expect(parsed).toHaveLength(elements.length);
        for (const [index, element] of elements.entries()) {
          expect(recordText(text, index)).toBe(element);
          expect(JSON.parse(recordText(text, index) ?? "")).toEqual(parsed[index]);
        }
        expect(recordText(text, elements.length)).toBeUndefined();
      }),
      { numRuns: 100 },
    );
  });

  it("gives the same whatever order the elements are asked for", () => {
    fc.assert(
      fc.property(
        fc.array(rendered(), { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat(9), { maxLength: 12 }),
        (elements, order) => {
          const texts = new RecordTexts(`[${elements.join(" ,\n")}]`);
          for (const index of order) expect(texts.at(index)).toBe(elements[index]);
        },
      ),
    );
  });

  it("keeps what reading JSON would lose: digits, duplicate keys, escapes", () => {
    const record = '{"id":9007199254740993,"id": 1e999, "x":1.10, "s":"\\u0041\\/"}';
    expect(recordText(`[1, ${record}\n,2]`, 1)).toBe(record);
  });

  it("has no element of an empty array", () => {
    expect(recordText(" [ ] ", 0)).toBeUndefined();
  });

  it("passes over a payload once, however many of its elements are asked for", () => {
    const count = 300_000;
    const texts = new RecordTexts(`[${"0,".repeat(count - 1)}1]`);
    let zeros = 0;
    for (let index = 0; index < count; index++) if (texts.at(index) === "0") zeros++;
    expect(zeros).toBe(count - 1);
    expect(texts.at(count)).toBeUndefined();
  });
});
