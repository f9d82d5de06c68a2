import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileTable } from "../../src/encode/compiled-table.ts";
import { RecordRefused } from "../../src/encode/record-refused.ts";
import {
  bigint,
  boolean,
  type ColumnDefinition,
  double,
  integer,
  jsonb,
  text,
  textArray,
  timestamptz,
  uuid,
} from "../../src/schema/columns.ts";
import { defineTable } from "../../src/schema/table.ts";
import { decodeArray, decodeCopyLine } from "./copy-decoder.ts";

const meta = { receivedAt: 1_795_408_587_123, token: "web" };
const cleanString = fc
  .string({ unit: "binary" })
  .filter((value) => value.isWellFormed() && !value.includes("\0"));
const awkwardString = fc.oneof(
  cleanString,
  fc
    .array(
      fc.constantFrom(
        "\\",
        "\n",
        "\r",
        "\t",
        "\\N",
        "\\.",
        "\\\\",
        '"',
        "{",
        "}",
        ",",
        "NULL",
        "é",
        "🎉",
      ),
    )
    .map((parts) => parts.join("")),
);

function compile(column: ColumnDefinition) {
  const options = { match: { t: "x" }, columns: { the_column: column } };
  return compileTable(defineTable("a_table", options));
}

/** The cell of a table with one column. */
function encodeValue(column: ColumnDefinition, value: unknown): string | null | undefined {
  const line = compile(column).encode({ t: "x", the_field: value }, meta);
  const cells = decodeCopyLine(line);
  expect(cells).toHaveLength(4);
  expect(cells.slice(1)).toEqual(["2026-11-23 04:36:27.123000+00", "web", null]);
  return cells[0];
}

function refusal(column: ColumnDefinition, value: unknown): string {
  try {
    encodeValue(column, value);
  } catch (error) {
    if (!(error instanceof RecordRefused)) throw error;
    expect(error).toMatchObject({ column: "the_column", field: "the_field" });
    return error.reason;
  }
  throw new Error("the value was not refused");
}

describe("a line", () => {
  test("goes to the columns that the COPY names, in their order", () => {
    const table = compile(text("the_field"));
    expect(table.copySql).toBe(
      'COPY "a_table" ("the_column", "received_at", "token", "unknown_fields") FROM STDIN',
    );
    expect(table.encode({ t: "x", the_field: "a\tb\\" }, meta)).toBe(
      "a\\tb\\\\\t2026-11-23 04:36:27.123000+00\tweb\t\\N\n",
    );
  });

  test("follows the time and the token of each payload", () => {
    const table = compile(text("the_field"));
    const cells = [meta, { ...meta, token: "a\tb" }, { ...meta, receivedAt: 0 }].map((payload) =>
      decodeCopyLine(table.encode({ t: "x" }, payload)).slice(1, 3),
    );
    expect(cells).toEqual([
      ["2026-11-23 04:36:27.123000+00", "web"],
      ["2026-11-23 04:36:27.123000+00", "a\tb"],
      ["1970-01-01 00:00:00.000000+00", "web"],
    ]);
  });

  test("a missing field and null are NULL, for every type", () => {
    for (const build of [
      text,
      integer,
      bigint,
      boolean,
      double,
      timestamptz,
      jsonb,
      textArray,
      uuid,
    ]) {
      expect(encodeValue(build("the_field"), null)).toBeNull();
      expect(decodeCopyLine(compile(build("the_field")).encode({ t: "x" }, meta))[0]).toBeNull();
    }
  });

  test("a required column refuses a missing field, null and, with emptyAsNull, an empty string", () => {
    expect(refusal(integer("the_field", { required: true }), null)).toBe("missing");
    expect(refusal(text("the_field", { required: true }), undefined)).toBe("missing");
    expect(refusal(text("the_field", { required: true, emptyAsNull: true }), "")).toBe("is empty");
  });
});

describe("text", () => {
  test("any string comes back from the line", () => {
    fc.assert(
      fc.property(awkwardString, (value) => {
        expect(encodeValue(text("the_field"), value)).toBe(value);
      }),
      { numRuns: 1_000 },
    );
  });

  test("an empty string is NULL only where the column says so", () => {
    expect(encodeValue(text("the_field"), "")).toBe("");
    expect(encodeValue(text("the_field", { emptyAsNull: true }), "")).toBeNull();
    expect(encodeValue(text("the_field", { emptyAsNull: true }), "0")).toBe("0");
  });

  test("refuses what PostgreSQL or UTF-8 cannot hold", () => {
    expect(refusal(text("the_field"), "ab\0c")).toContain("U+0000 at position 2");
    expect(refusal(text("the_field"), "\ud83d")).toContain("half of a surrogate pair");
    expect(refusal(text("the_field"), "a\udf89b")).toContain("half of a surrogate pair");
  });

  test("refuses other types, showing what was there", () => {
    expect(refusal(text("the_field"), 5)).toBe("expected a string, got 5");
    expect(refusal(text("the_field"), ["a"])).toBe("expected a string, got an array");
    expect(refusal(text("the_field"), {})).toBe("expected a string, got an object");
    expect(refusal(text("the_field"), true)).toBe("expected a string, got true");
  });
});

describe("numbers", () => {
  test("integers between the limits of the type come back", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (value) => {
        expect(Number(encodeValue(integer("the_field"), value))).toBe(value);
      }),
    );
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(Number(encodeValue(bigint("the_field"), value))).toBe(value);
      }),
    );
  });

  test("any finite double comes back", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Number(encodeValue(double("the_field"), value))).toBe(value);
      }),
    );
  });

  test.each([[2 ** 31], [-(2 ** 31) - 1], [1.5], ["5"], [true], [NaN], [Infinity], [[]], [{}]])(
    "integer refuses %o",
    (value) => {
      expect(refusal(integer("the_field"), value)).toMatch(/^expected an integer/);
    },
  );

  test.each([[0.1], ["5"], [false], [NaN], [-Infinity], [[]], [{}]])(
    "bigint refuses %o",
    (value) => {
      expect(refusal(bigint("the_field"), value)).toMatch(/^expected an integer/);
    },
  );

  test("bigint refuses a whole number that reading JSON may have rounded", () => {
    const value: unknown = JSON.parse("9007199254740993");
    expect(refusal(bigint("the_field"), value)).toBe(
      "9007199254740992 is not exact: whole numbers are exact up to 2^53 - 1",
    );
  });

  test.each([["1"], [true], [NaN], [Infinity], [[]]])("double refuses %o", (value) => {
    expect(refusal(double("the_field"), value)).toMatch(/^expected a finite number/);
  });
});

describe("the other types", () => {
  test("boolean takes only booleans", () => {
    expect(encodeValue(boolean("the_field"), true)).toBe("t");
    expect(encodeValue(boolean("the_field"), false)).toBe("f");
    for (const value of [0, 1, "true", "", [], {}]) {
      expect(refusal(boolean("the_field"), value)).toMatch(/^expected true or false/);
    }
  });

  test("timestamptz takes Unix seconds", () => {
    expect(encodeValue(timestamptz("the_field"), 1_795_408_117.0889642)).toBe(
      "2026-11-23 04:28:37.088964+00",
    );
    for (const value of ["2026-01-01", true, 1e18, -1e12, NaN, {}]) {
      expect(refusal(timestamptz("the_field"), value)).toMatch(/^expected Unix seconds/);
    }
  });

  test("uuid takes only the 36-character form", () => {
    const value = "5A1E405D-e6de-4a2e-be11-0168062e8ce5";
    expect(encodeValue(uuid("the_field"), value)).toBe(value.toLowerCase());
    for (const wrong of [
      "",
      value.slice(1),
      `${value}\n`,
      `{${value}}`,
      value.replaceAll("-", ""),
      5,
    ]) {
      expect(refusal(uuid("the_field"), wrong)).toMatch(/^expected a UUID/);
    }
  });

  test("any array of strings comes back", () => {
    fc.assert(
      fc.property(fc.array(awkwardString), (value) => {
        expect(decodeArray(encodeValue(textArray("the_field"), value) ?? "")).toEqual(value);
      }),
      { numRuns: 1_000 },
    );
  });

  test("text[] refuses elements that are no strings or cannot be stored", () => {
    expect(refusal(textArray("the_field"), "GET")).toMatch(/^expected an array of strings, got/);
    expect(refusal(textArray("the_field"), ["a", null])).toContain("element 1 is null");
    expect(refusal(textArray("the_field"), ["a", "\0"])).toContain("element 1 holds U+0000");
    expect(refusal(textArray("the_field"), ["\udc00"])).toContain("element 0 holds half");
  });

  test("any JSON value comes back", () => {
    const value = fc
      .jsonValue({ stringUnit: "binary" })
      .map((json) => JSON.parse(JSON.stringify(json)) as unknown)
      .filter((json) => json !== null && isStorable(json));
    fc.assert(
      fc.property(value, (json) => {
        expect(JSON.parse(encodeValue(jsonb("the_field"), json) ?? "")).toEqual(json);
      }),
    );
  });
});

describe("unknown fields", () => {
  test("are kept, whatever they are called", () => {
    const record: unknown = JSON.parse(
      '{"t":"x","the_field":"a","__proto__":{"a":1},"constructor":null,"7":[true],"":"\\\\N"}',
    );
    const line = compile(text("the_field")).encode(record as Record<string, unknown>, meta);
    expect(decodeCopyLine(line)[3]).toBe(
      '{"7":[true],"__proto__":{"a":1},"constructor":null,"":"\\\\N"}',
    );
  });

  test("are found when a known field is missing or two columns read one field", () => {
    const columns = { a: text("a"), also_a: text("a"), b: text("b"), type: text("t") };
    const table = compileTable(defineTable("a_table", { match: { t: "x" }, columns }));
    const unknownOf = (record: Record<string, unknown>) =>
      decodeCopyLine(table.encode({ t: "x", ...record }, meta))[6];
    expect(unknownOf({ a: "1", b: "2" })).toBeNull();
    expect(unknownOf({ a: "1" })).toBeNull();
    expect(unknownOf({})).toBeNull();
    expect(unknownOf({ a: "1", c: null })).toBe('{"c":null}');
    expect(unknownOf({ a: null, b: "2", c: 3 })).toBe('{"c":3}');
  });

  test("are refused when they cannot be stored unchanged", () => {
    const table = compile(text("the_field"));
    const encode = (json: string) =>
      table.encode(JSON.parse(`{"t":"x","extra":${json}}`) as Record<string, unknown>, meta);
    expect(() => encode('{"a":["\\u0000"]}')).toThrow(
      /^unknown_fields: holds U\+0000.*extra\.a\.0/,
    );
    expect(() => encode('"\\ud800"')).toThrow(/^unknown_fields: holds half/);
    expect(() => encode("1e999")).toThrow(/^unknown_fields: holds a number that is out of range/);
    expect(() => encode("12345678901234567890")).toThrow(/^unknown_fields: holds .* not exact/);
  });
});

describe("a refusal", () => {
  test("names field, column, expectation and value, clipped", () => {
    const table = compileTable(
      defineTable("a_table", {
        match: { t: "x" },
        columns: { duration_us: bigint("duration"), line: integer("line") },
      }),
    );
    const encode = (record: Record<string, unknown>) => () => table.encode(record, meta);
    expect(encode({ duration: "abc" })).toThrow(
      'duration: expected an integer, got the string "abc" (column duration_us)',
    );
    expect(encode({ line: "abc" })).toThrow('line: expected an integer, got the string "abc"');
    expect(encode({ line: "\ud83d\0".repeat(5_000) })).toThrow(
      /^line: expected an integer, got a string of 10000 characters that starts with "(\\ud83d\\u0000){40}"$/,
    );
  });

  test("of the token names it", () => {
    const table = compile(text("the_field"));
    expect(() => table.encode({}, { receivedAt: 0, token: "a\0" })).toThrow(
      /^token: holds U\+0000/,
    );
    expect(() => table.encode({}, { receivedAt: NaN, token: "a" })).toThrow(/^received_at: NaN/);
  });
});

function isStorable(value: unknown): boolean {
  const json = JSON.stringify(value);
  const hasRoundedNumber = (part: unknown): boolean =>
    typeof part === "object" && part !== null
      ? Object.values(part).some(hasRoundedNumber)
      : Number.isInteger(part) && !Number.isSafeInteger(part);
  return !hasRoundedNumber(value) && !/(?<!\\)(\\\\)*\\u(0000|d[89a-f])/.test(json);
}
