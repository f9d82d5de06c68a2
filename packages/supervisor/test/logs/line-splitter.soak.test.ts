import { expect, test } from "vitest";
import { LineSplitter } from "../../src/logs/line-splitter.ts";

// MILLRACE_SOAK=1 asks for the million of the specification, some minutes.
const CHUNKINGS = Number(process.env["MILLRACE_SOAK"] ?? 0) > 0 ? 1_000_000 : 50_000;
const LINES = ["", "plain", "é漢字🚀", "a\u0000b\u2028c", "x".repeat(70), "🏳️‍🌈 flag", "\ttab", "{}"];
const BYTES = Buffer.from(`${LINES.join("\n")}\n`);

test(`of ${CHUNKINGS} random chunkings each comes out byte for byte`, () => {
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const expected = LINES.join("\n");
  for (let round = 0; round < CHUNKINGS; round++) {
    const lines: string[] = [];
    const splitter = new LineSplitter(1_000, (line) => lines.push(line));
    const longest = 1 + random(BYTES.length);
    for (let at = 0; at < BYTES.length;) {
      const end = at + 1 + random(longest);
      splitter.push(BYTES.subarray(at, end));
      at = end;
    }
    splitter.end();
    if (lines.join("\n") !== expected) expect(lines).toEqual(LINES);
  }
});
