import fc from "fast-check";
import { expect, it } from "vitest";
import { CopyTextBuffer } from "../../src/batch/copy-text-buffer.ts";

it("holds the lines in their order as UTF-8, however often it has to grow", () => {
  const anyLine = fc.string({ unit: "grapheme", maxLength: 300 });
  fc.assert(
    fc.property(fc.array(anyLine), fc.integer({ min: 1, max: 64 }), (lines, capacityBytes) => {
      const buffer = new CopyTextBuffer(capacityBytes);
      for (const line of lines) buffer.add(line);
      expect(buffer.bytes()).toEqual(Buffer.from(lines.join("")));
      expect(buffer.lines).toBe(lines.length);
    }),
  );
});

it("takes a line far larger than itself", () => {
  const buffer = new CopyTextBuffer(8);
  const line = `${"\u{1F600}€".repeat(100_000)}\n`;
  buffer.add(line);
  expect(buffer.bytes().toString()).toBe(line);
});
