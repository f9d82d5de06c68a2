import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { parseRecords, PayloadRefused, readText } from "../../src/batch/payload-reader.ts";

const LIMIT = 1024 * 1024;
const LIMITS = { maxInflatedBytes: LIMIT, maxTextBytes: 4 * LIMIT };

function refusalOf(work: () => unknown): PayloadRefused {
  try {
    work();
  } catch (error) {
    if (error instanceof PayloadRefused) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("readText", () => {
  it("gives the text of plain UTF-8 as it is, wherever it lies in its memory", () => {
    const around = Buffer.from('....[{"x":"é𝄞"}]....');
    expect(readText(around.subarray(4, -4), LIMITS)).toBe('[{"x":"é𝄞"}]');
  });

  it("inflates what starts with gzip's magic bytes", () => {
    expect(readText(gzipSync('[{"x":"é"}]'), LIMITS)).toBe('[{"x":"é"}]');
  });

  it("inflates up to the limit, to the byte, and no further", () => {
    expect(readText(gzipSync(Buffer.alloc(LIMIT, 0x20)), LIMITS)).toHaveLength(LIMIT);
    const bomb = gzipSync(Buffer.alloc(LIMIT + 1, 0x20));
    expect(refusalOf(() => readText(bomb, LIMITS)).code).toBe("inflates_too_large");
  });

  it("stops a gzip bomb without holding what it would inflate to", () => {
    const bomb = gzipSync(Buffer.alloc(64 * LIMIT));
    expect(bomb.length * 500).toBeLessThan(64 * LIMIT);
    const before = process.memoryUsage().arrayBuffers;
    const refusal = refusalOf(() => readText(bomb, LIMITS));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * LIMIT);
    expect(refusal.code).toBe("inflates_too_large");
    expect(refusal.message).toContain(`${bomb.length} bytes inflates to more than ${LIMIT} bytes`);
  });

  it("refuses what is too large for the heap, inflated or not", () => {
    const plain = Buffer.alloc(4 * LIMIT + 1, 0x20);
    expect(refusalOf(() => readText(plain, LIMITS)).code).toBe("too_large");
    const zipped = gzipSync(plain);
    const limits = { maxInflatedBytes: 8 * LIMIT, maxTextBytes: 4 * LIMIT };
    expect(refusalOf(() => readText(zipped, limits)).code).toBe("too_large");
    expect(readText(plain.subarray(1), LIMITS)).toHaveLength(4 * LIMIT);
  });

  it.each([
    ["cut off", gzipSync("[1,2,3]").subarray(0, -6)],
    ["nothing but magic bytes", Buffer.from([0x1f, 0x8b])],
    ["of another method", Buffer.from([0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 0])],
    ["with a checksum that is wrong", withByteFlipped(gzipSync("[1,2,3]"), -8)],
  ])("refuses gzip that is %s", (_what, payload) => {
    expect(refusalOf(() => readText(payload, LIMITS)).code).toBe("gzip_invalid");
  });

  it.each([
    ["a lone continuation byte", [0x22, 0x80, 0x22]],
    ["an overlong slash", [0xc0, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a character cut in two", [0x22, 0xc3]],
    ["Latin-1", [0x22, 0xe9, 0x22]],
  ])("refuses %s instead of replacing it", (_what, bytes) => {
    expect(refusalOf(() => readText(Buffer.from(bytes), LIMITS)).code).toBe("utf8_invalid");
    const zipped = gzipSync(Buffer.from(bytes));
    expect(refusalOf(() => readText(zipped, LIMITS)).code).toBe("utf8_invalid");
  });
});

describe("parseRecords", () => {
  it("gives the elements of an array, none for an empty one", () => {
    expect(parseRecords(' [ {"t":"log"} , 2 ] ')).toEqual([{ t: "log" }, 2]);
    expect(parseRecords("[]")).toEqual([]);
  });

  it.each([
    ["{}", "object"],
    ["null", "null"],
    ["12", "number"],
    ['"[]"', "string"],
    ["true", "boolean"],
  ])("refuses %s, which is no array", (text, kind) => {
    const refusal = refusalOf(() => parseRecords(text));
    expect(refusal.code).toBe("not_array");
    expect(refusal.message).toContain(`a JSON ${kind},`);
  });

  it.each(["", "PING", "[", "[1,]", "[NaN]", "[1] [2]", '\uFEFF[{"t":"log"}]', "['a']"])(
    "refuses %j, which is not JSON",
    (text) => {
      expect(refusalOf(() => parseRecords(text)).code).toBe("json_invalid");
    },
  );

  it("reads nesting that is far deeper than any stack", () => {
    const depth = 100_000;
    expect(parseRecords(`${"[".repeat(depth)}${"]".repeat(depth)}`)).toHaveLength(1);
  });
});

function withByteFlipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  const index = copy.length + at;
  copy[index] = (copy[index] ?? 0) ^ 0xff;
  return copy;
}
