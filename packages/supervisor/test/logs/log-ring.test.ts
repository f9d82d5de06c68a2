import { expect, test } from "vitest";
import { detectLevel } from "../../src/logs/detect-level.ts";
import { type LogEntry, LogRing } from "../../src/logs/log-ring.ts";

function entry(sequence: number, message: string): LogEntry {
  return {
    sequence,
    message,
    time: "",
    process: "p",
    instance: "p-1",
    stream: "stdout",
    level: "info",
  };
}

test("keeps the newest lines by number", () => {
  const ring = new LogRing(3, 1_000);
  for (let index = 1; index <= 1_000; index++) ring.push(entry(index, "x"));
  expect(ring.newest(10).map(({ sequence }) => sequence)).toEqual([998, 999, 1_000]);
  expect(ring.newest(1).map(({ sequence }) => sequence)).toEqual([1_000]);
});

test("keeps the newest lines by size, and at least one", () => {
  const ring = new LogRing(100, 10);
  ring.push(entry(1, "12345"));
  ring.push(entry(2, "12345"));
  ring.push(entry(3, "1"));
  expect(ring.newest(10).map(({ sequence }) => sequence)).toEqual([2, 3]);
  ring.push(entry(4, "x".repeat(50)));
  expect(ring.newest(10).map(({ sequence }) => sequence)).toEqual([4]);
});

test.each([
  ['{"level":50,"msg":"x"}', "error"],
  ['{"level":"warning"}', "warn"],
  ['{"level":20}', "debug"],
  ["ERROR: no", "error"],
  ["[warn] hm", "warn"],
  ["an error in the middle", "info"],
  ["{not json", "info"],
] as const)("the level of %s is %s", (line, level) => {
  expect(detectLevel(line)).toBe(level);
});
