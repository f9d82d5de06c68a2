import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ColumnReader } from "../../src/encode/column-reader.ts";
import {
  type ColumnDefinition,
  timestamptz,
  timestamptzIso,
  timestamptzMicroseconds,
  timestamptzMilliseconds,
  timestamptzNanoseconds,
} from "../../src/schema/columns.ts";
import { microsecondsText, timestampText } from "../../src/encode/timestamp-text.ts";

const MIN_SECONDS = -62_135_596_800;
const END_SECONDS = 253_402_300_800;

/** The same text by BigInt division for the time and the platform's calendar for the day. */
function expectedText(microseconds: bigint): string {
  const fraction = ((microseconds % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = (microseconds - fraction) / 1_000_000n;
  const [date, time] = new Date(Number(seconds) * 1_000).toISOString().slice(0, 19).split("T");
  return `${date} ${time}.${String(fraction).padStart(6, "0")}+00`;
}

function parseMicroseconds(text: string): bigint {
  const whole = Date.parse(`${text.slice(0, 19).replace(" ", "T")}Z`);
  return BigInt(whole) * 1_000n + BigInt(text.slice(20, 26));
}

describe("timestampText", () => {
  test.each([
    [0, "1970-01-01 00:00:00.000000+00"],
    [-0, "1970-01-01 00:00:00.000000+00"],
    [-0.000001, "1969-12-31 23:59:59.999999+00"],
    [-1, "1969-12-31 23:59:59.000000+00"],
    [1_700_000_000, "2023-11-14 22:13:20.000000+00"],
    [1_795_408_586.959243, "2026-11-23 04:36:26.959243+00"],
    [1_795_408_117.0889642, "2026-11-23 04:28:37.088964+00"],
    [951_782_400, "2000-02-29 00:00:00.000000+00"],
    [4_107_542_399.999999, "2100-02-28 23:59:59.999999+00"],
    [MIN_SECONDS, "0001-01-01 00:00:00.000000+00"],
    [END_SECONDS - 1, "9999-12-31 23:59:59.000000+00"],
  ])("%d is %s", (seconds, text) => {
    expect(timestampText(seconds)).toBe(text);
  });

  test.each([MIN_SECONDS - 1, END_SECONDS, 1e300, Infinity, -Infinity, NaN])(
    "%d has no text",
    (seconds) => {
      expect(timestampText(seconds)).toBeUndefined();
    },
  );

  test("every moment of the years 1 to 9999 equals BigInt arithmetic", () => {
    const seconds = fc.double({ min: MIN_SECONDS, max: END_SECONDS - 1, noNaN: true });
    fc.assert(
      fc.property(seconds, (value) => {
        expect(timestampText(value)).toBe(expectedText(BigInt(Math.round(value * 1e6))));
      }),
      { numRuns: 2_000 },
    );
  });

  test("a decimal of six digits keeps every one of them", () => {
    const moment = fc.record({
      seconds: fc.integer({ min: 0, max: 4_000_000_000 }),
      fraction: fc.integer({ min: 0, max: 999_999 }),
    });
    fc.assert(
      fc.property(moment, ({ seconds, fraction }) => {
        const digits = String(fraction).padStart(6, "0");
        const text = timestampText(Number(`${seconds}.${digits}`));
        expect(text).toMatch(new RegExp(`\\.${digits}\\+00$`));
        expect(parseMicroseconds(text ?? "")).toBe(BigInt(seconds) * 1_000_000n + BigInt(fraction));
      }),
      { numRuns: 2_000 },
    );
  });

  test("whole microseconds come back from their text", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (microseconds) => {
        const text = microsecondsText(microseconds) ?? "";
        expect(text).toHaveLength(29);
        expect(parseMicroseconds(text)).toBe(BigInt(microseconds));
      }),
      { numRuns: 2_000 },
    );
  });

  test("texts sort as their moments do", () => {
    const seconds = fc.double({ min: MIN_SECONDS, max: END_SECONDS - 1, noNaN: true });
    fc.assert(
      fc.property(seconds, seconds, (left, right) => {
        const byText = (timestampText(left) ?? "") < (timestampText(right) ?? "");
        expect(byText).toBe(Math.round(left * 1e6) < Math.round(right * 1e6));
      }),
    );
  });
});

describe("one moment in every way of writing it", () => {
  const read = (definition: ColumnDefinition, value: unknown) =>
    new ColumnReader("at", definition).read(value);
  const END = 253_402_300_799n;
  const pad = (value: bigint | number, digits: number) => String(value).padStart(digits, "0");

  /** ISO 8601 in a zone so many minutes east of Greenwich. */
  function iso(seconds: bigint, fraction: string, zoneMinutes: number, isBasic: boolean): string {
    const local = new Date(Number(seconds + BigInt(zoneMinutes * 60)) * 1_000);
    const minutes = Math.abs(zoneMinutes);
    const zone = `${zoneMinutes < 0 ? "-" : "+"}${pad(Math.floor(minutes / 60), 2)}${isBasic ? "" : ":"}${pad(minutes % 60, 2)}`;
    return `${local.toISOString().slice(0, 19)}.${fraction}${zoneMinutes === 0 && !isBasic ? "Z" : zone}`;
  }

  test("lands as the same microsecond, to the year 9999 and in every zone", () => {
    const moment = fc.record({
      seconds: fc.bigInt({ min: 86_400n, max: END - 86_400n }),
      microseconds: fc.integer({ min: 0, max: 999_999 }),
      below: fc.integer({ min: 0, max: 999 }),
      zone: fc.integer({ min: -15 * 60 - 59, max: 15 * 60 + 59 }),
      isBasic: fc.boolean(),
    });
    fc.assert(
      fc.property(moment, ({ seconds, microseconds, below, zone, isBasic }) => {
        const expected = expectedText(seconds * 1_000_000n + BigInt(microseconds));
        const six = pad(microseconds, 6);
        expect(read(timestamptzNanoseconds("t"), `${seconds}${six}${pad(below, 3)}`)).toBe(
          expected,
        );
        const text = iso(seconds, `${six}${pad(below, 3)}`, zone, isBasic);
        expect([text, read(timestamptzIso("t"), text)]).toEqual([text, expected]);
        const whole = seconds * 1_000_000n + BigInt(microseconds);
        if (whole <= BigInt(Number.MAX_SAFE_INTEGER)) {
          expect(read(timestamptzMicroseconds("t"), Number(whole))).toBe(expected);
        }
        const milliseconds = Math.floor(microseconds / 1_000);
        const cut = expectedText(seconds * 1_000_000n + BigInt(milliseconds * 1_000));
        expect(read(timestamptzMilliseconds("t"), Number(seconds) * 1_000 + milliseconds)).toBe(
          cut,
        );
        expect(read(timestamptz("t"), Number(seconds))).toBe(expectedText(seconds * 1_000_000n));
      }),
      { numRuns: 3_000 },
    );
  });

  test("a fraction of a millisecond is rounded to microseconds, also before 1970 and up to the next second", () => {
    const column = timestamptzMilliseconds("t");
    expect(read(column, 1_795_408_586_959.243)).toBe("2026-11-23 04:36:26.959243+00");
    expect(read(column, -0.001)).toBe("1969-12-31 23:59:59.999999+00");
    expect(read(column, 999.9999)).toBe("1970-01-01 00:00:01.000000+00");
    expect(read(column, 253_402_300_799_999)).toBe("9999-12-31 23:59:59.999000+00");
  });

  test.each([
    ["2024-02-29T23:59:59.9999999Z", "2024-02-29 23:59:59.999999+00"],
    ["2026-03-29 02:30:00,5+02:00", "2026-03-29 00:30:00.500000+00"],
    ["0001-01-01T00:00:00Z", "0001-01-01 00:00:00.000000+00"],
    ["0026-11-23T10:00:00-00:30", "0026-11-23 10:30:00.000000+00"],
    ["9999-12-31T23:59:59.999999Z", "9999-12-31 23:59:59.999999+00"],
  ])("%s is %s", (text, expected) => {
    expect(read(timestamptzIso("t"), text)).toBe(expected);
  });

  test.each<[ColumnDefinition, unknown]>([
    [timestamptzIso("t"), "2026-11-23T10:00:00"],
    [timestamptzIso("t"), "2026-06-31T10:00:00Z"],
    [timestamptzIso("t"), "2023-02-29T10:00:00Z"],
    [timestamptzIso("t"), "2026-11-23T24:00:00Z"],
    [timestamptzIso("t"), "2016-12-31T23:59:60Z"],
    [timestamptzIso("t"), "2026-00-10T10:00:00Z"],
    [timestamptzIso("t"), "0001-01-01T00:00:00+01:00"],
    [timestamptzIso("t"), "9999-12-31T23:59:59-01:00"],
    [timestamptzIso("t"), "2026-11-23T10:00:00+16:00"],
    [timestamptzIso("t"), "yesterday"],
    [timestamptzIso("t"), 1_767_225_600],
    [timestamptzMilliseconds("t"), "1767225600000"],
    [timestamptzMilliseconds("t"), 253_402_300_800_000],
    [timestamptzMilliseconds("t"), Number.NaN],
    [timestamptzMicroseconds("t"), 1.5],
    [timestamptzMicroseconds("t"), 2 ** 53],
    [timestamptzNanoseconds("t"), "9".repeat(30)],
  ])("%o refuses %s", (definition, value) => {
    expect(() => read(definition, value)).toThrow(/^t: expected .*, got /);
  });
});
