import fc from "fast-check";
import { describe, expect, test } from "vitest";
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
