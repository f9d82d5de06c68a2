import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/host/clock.ts";
import { LineJoiner } from "../../src/logs/line-joiner.ts";

function join(lines: readonly string[], start?: RegExp, maxLines = 100): string[] {
  const entries: string[] = [];
  const joiner = new LineJoiner(
    { start, maxLines, flushMs: 60_000 },
    (text) => entries.push(text),
    systemClock,
  );
  for (const line of lines) joiner.push(line);
  joiner.flush();
  return entries;
}

const NODE = [
  "Error: boom",
  "    at run (/app/a.js:1:2)",
  "    at main (/app/b.js:3:4) {",
  "  code: 'E'",
  "}",
];
const JAVA = [
  "java.lang.RuntimeException: x",
  "\tat A.b(A.java:1)",
  "Caused by: java.io.IOException",
  "\t... 3 more",
];
const PYTHON = [
  "Traceback (most recent call last):",
  '  File "a.py", line 1, in <module>',
  "    f()",
  "ValueError: bad",
];

describe("LineJoiner", () => {
  test.each([
    ["Node.js", NODE],
    ["Java", JAVA],
    ["Python", PYTHON],
  ])("joins a stack trace of %s and leaves its neighbours alone", (_, trace) => {
    const all = ["before", ...trace, "after", "and after that"];
    expect(join(all)).toEqual(["before", trace.join("\n"), "after", "and after that"]);
  });

  test("with a pattern of first lines everything else continues, whatever its flags", () => {
    const lines = ["2026-01-01 a", "b", "c", "2026-01-02 d"];
    for (const flags of ["", "g", "y"]) {
      const start = new RegExp("^\\d{4}-", flags);
      expect(join(lines, start)).toEqual(["2026-01-01 a\nb\nc", "2026-01-02 d"]);
    }
  });

  test("an entry ends at the limit of lines, and nothing is lost", () => {
    const lines = ["Error", ...Array.from({ length: 25 }, (_, index) => `  at ${index}`)];
    const entries = join(lines, undefined, 10);
    expect(entries.map((entry) => entry.split("\n").length)).toEqual([10, 10, 6]);
    expect(entries.join("\n")).toBe(lines.join("\n"));
  });

  test("an entry is complete after some silence, without another line", async () => {
    const entries: string[] = [];
    const joiner = new LineJoiner(
      { maxLines: 10, flushMs: 5 },
      (text) => entries.push(text),
      systemClock,
    );
    joiner.push("Error");
    joiner.push("  at once");
    await expect.poll(() => entries).toEqual(["Error\n  at once"]);
  });
});
