import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ReplyReader } from "../../src/client/reply-reader.ts";

function read(text: string, cuts: number[]): string[] {
  const reader = new ReplyReader();
  const edges = [0, ...cuts.map((cut) => cut % (text.length + 1)), text.length].toSorted(
    (a, b) => a - b,
  );
  return edges.flatMap((edge, index) =>
    reader.read(Buffer.from(text.slice(edges[index - 1] ?? 0, edge))),
  );
}

describe("ReplyReader", () => {
  it("finds the same replies wherever the stream is split", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 20 }),
        fc.boolean(),
        fc.array(fc.nat(), { maxLength: 8 }),
        (accepted, isRefused, cuts) => {
          const text = "2:OK".repeat(accepted) + (isRefused ? "5:ERROR" : "");
          const expected: string[] = Array.from({ length: accepted }, () => "accepted");
          if (isRefused) expected.push("refused");
          expect(read(text, cuts)).toEqual(expected);
        },
      ),
    );
  });

  it.each(["3:OK", "2:OX", "2:OK\n", "5:ERROX", "4:PONG", "HTTP/1.1 400", "\0"])(
    "says garbage at the first byte that fits no reply: %j",
    (text) => {
      expect(read(text, [1, 2, 3]).at(-1)).toBe("garbage");
    },
  );

  it("waits for the rest of a reply that has only begun", () => {
    for (const begun of ["", "2", "2:", "2:O", "5:ERRO"]) expect(read(begun, [1])).toEqual([]);
  });
});
