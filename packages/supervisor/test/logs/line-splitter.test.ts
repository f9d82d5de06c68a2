import * as fc from "fast-check";
import { expect, test } from "vitest";
import { LineSplitter } from "../../src/logs/line-splitter.ts";

function split(chunks: readonly Buffer[], limit = 1_000): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter(limit, (line) => lines.push(line));
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return lines;
}

test("lines and characters come out whole wherever the chunks are cut", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.string({ unit: "grapheme", maxLength: 30 }).filter((line) => !/[\r\n]/.test(line)),
        { minLength: 1, maxLength: 20 },
      ),
      fc.array(fc.nat(2_000), { maxLength: 30 }),
      (lines, cuts) => {
        const bytes = Buffer.from(`${lines.join("\n")}\n`);
        const sorted = [
          0,
          ...cuts.map((cut) => cut % bytes.length).toSorted((a, b) => a - b),
          bytes.length,
        ];
        const chunks = sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
        expect(split(chunks)).toEqual(Buffer.from(lines.join("\n")).toString().split("\n"));
      },
    ),
    { numRuns: 2_000 },
  );
});

test("a line without an end is emitted when the stream ends", () => {
  expect(split([Buffer.from("one\ntw"), Buffer.from("o")])).toEqual(["one", "two"]);
});

test("a line over the limit is cut once, its rest dropped and counted, the next one is whole", () => {
  const lines: Array<[string, boolean]> = [];
  const splitter = new LineSplitter(5, (line, truncated) => lines.push([line, truncated]));
  for (const part of ["abc", "defg", "hij", "k\nnext\n"]) splitter.push(Buffer.from(part));
  expect(lines).toEqual([
    ["abcde", true],
    ["next", false],
  ]);
  expect(splitter.droppedCharacters).toBe(6);
});

test("carriage returns of line breaks are not part of the line", () => {
  expect(split([Buffer.from("one\r\ntwo\r\n")])).toEqual(["one", "two"]);
});
