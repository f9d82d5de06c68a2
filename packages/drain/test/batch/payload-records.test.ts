import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { heapBytesOf } from "../../src/batch/heap-estimate.ts";
import { PayloadRefused } from "../../src/batch/payload-reader.ts";
import { payloadRecords } from "../../src/batch/payload-records.ts";
import { splitArray } from "../../src/batch/record-span.ts";

const MIB = 1024 * 1024;
/** Makes a payload one that is read record by record. */
const PADDING = " ".repeat(256 * 1024);

function read(text: string, maxRecordHeapBytes = 100 * MIB) {
  return [...payloadRecords(text, maxRecordHeapBytes)].map((record) => ({
    value: record.read(),
    text: record.text(),
  }));
}

function codeOf(text: string): string {
  try {
    read(text);
    return "taken";
  } catch (error) {
    return error instanceof PayloadRefused ? error.code : String(error);
  }
}

describe("payloadRecords", () => {
  it("reads a large payload as it reads a small one", () => {
    fc.assert(
      fc.property(fc.array(fc.json(), { maxLength: 6 }), (records) => {
        const small = `[${records.join(" ,\n")}]`;
        const expected = records.map((text) => ({
          value: JSON.parse(text) as unknown,
          text: text.trim(),
        }));
        expect(read(small)).toEqual(expected);
        expect(read(PADDING + small)).toEqual(expected);
      }),
    );
  });

  it("takes and refuses the same texts, whatever their length", () => {
    const tokens = fc.constantFrom(
      "[",
      "]",
      "{",
      "}",
      ",",
      ":",
      '"',
      "\\",
      "1",
      "null",
      '"a"',
      " ",
    );
    fc.assert(
      fc.property(
        fc.array(tokens, { maxLength: 9 }).map((parts) => `[${parts.join("")}`),
        (text) => {
          expect(codeOf(text + PADDING)).toBe(codeOf(text));
        },
      ),
      { numRuns: 400 },
    );
  });

  it.each(["{}", "null", "7", '"[]"'])("calls %s no array, whatever its length", (text) => {
    expect([codeOf(text), codeOf(PADDING + text)]).toEqual(["not_array", "not_array"]);
  });

  it("refuses a record that would take too much memory, not its neighbours", () => {
    const heavy = `[${"{},".repeat(100_000)}{}]`;
    const records = [...payloadRecords(`[1,${heavy}, 3]`, 5 * MIB)];
    expect(records.map((record) => record.text().length)).toEqual([1, heavy.length, 1]);
    expect(records[0]?.read()).toBe(1);
    expect(() => records[1]?.read()).toThrow(/may need \d+ bytes of memory/);
    expect(records[2]?.read()).toBe(3);
  });
});

describe("splitArray", () => {
  it.each(["", "1", "[", "[1", "[,]", "[1,]", "[1}", "[1]]", "[] x", "x[]"])(
    "refuses %j",
    (text) => {
      expect(() => [...splitArray(text)]).toThrow(SyntaxError);
    },
  );

  it("gives the elements of what it takes", () => {
    expect([...splitArray(" [ ] ")]).toEqual([]);
    expect([...splitArray('[ {"a":"]"} , [1,2]\n]')]).toEqual(['{"a":"]"}', "[1,2]"]);
  });
});

describe("heapBytesOf", () => {
  it.each([
    ["empty objects", `[${"{},".repeat(200_000)}{}]`],
    ["nested arrays", "[".repeat(200_000) + "]".repeat(200_000)],
    [
      "distinct keys",
      `{${Array.from({ length: 100_000 }, (_, index) => `"k${index}":0`).join(",")}}`,
    ],
    [
      "distinct shapes",
      `[${Array.from({ length: 50_000 }, (_, index) => `{"k${index}":0}`).join(",")}]`,
    ],
    [
      "numeric keys",
      `[${Array.from({ length: 50_000 }, (_, index) => `{"${(index * 7_919) % 4_294_967_294}":0}`).join(",")}]`,
    ],
  ])("is no less than what %s take", (_what, text) => {
    const before = process.memoryUsage().heapUsed;
    const value: unknown = JSON.parse(text);
    const taken = process.memoryUsage().heapUsed - before;
    expect(heapBytesOf(text)).toBeGreaterThan(taken);
    expect(value).toBeTypeOf("object");
  });

  it("counts a text of one long string by its characters", () => {
    expect(heapBytesOf(JSON.stringify("x".repeat(MIB)))).toBeLessThan(2.1 * MIB);
  });
});
