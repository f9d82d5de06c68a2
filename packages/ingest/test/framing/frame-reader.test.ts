import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteBudget } from "../../src/byte-budget.ts";
import { FrameReader } from "../../src/framing/frame-reader.ts";
import { frame } from "../support/client.ts";

const MIB = 1024 * 1024;

function createReader({ maxFrameBytes = 16 * MIB, budgetBytes = 256 * MIB } = {}) {
  const budget = new ByteBudget(budgetBytes);
  const reader = new FrameReader({
    maxFrameBytes,
    budget,
    tokenName: (hash) => {
      const text = Buffer.from(hash).toString("latin1");
      return text === "badbad0" ? undefined : text;
    },
  });
  return { reader, budget };
}

/** Everything that comes out of the chunks: `hash|payload` a frame, or the reason of the refusal. */
function readAll(reader: FrameReader, chunks: Uint8Array[]): string[] {
  const results: string[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      if (typeof next === "string") return [...results, next];
      results.push(`${next.token}|${Buffer.from(next.payload).toString("latin1")}`);
    }
  }
  return results;
}

function cut(bytes: Buffer, positions: number[]): Buffer[] {
  const edges = [...new Set(positions.map((at) => at % (bytes.length + 1)))].toSorted(
    (a, b) => a - b,
  );
  return [0, ...edges].map((from, index) => bytes.subarray(from, edges[index] ?? bytes.length));
}

describe("FrameReader", () => {
  it("reads the worked examples of the protocol", () => {
    const { reader } = createReader();
    const examples = ["15:v1:ed2b0d3:PING", '23:v1:abcdefg:[{"x":"é"}]', "13:v1:ed2b0d3:[]"];
    expect(readAll(reader, [Buffer.from(examples.join(""))])).toEqual([
      "ed2b0d3|PING",
      `abcdefg|${Buffer.from('[{"x":"é"}]').toString("latin1")}`,
      "ed2b0d3|[]",
    ]);
    expect(reader.isBegun).toBe(false);
  });

  it("decodes any sequence of frames the same wherever the stream is split", () => {
    const payload = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      fc.uint8Array({ minLength: 4_000, maxLength: 9_000 }),
    );
    const hash = fc.stringMatching(/^[0-9a-f]{7}$/);
    const frames = fc.array(fc.record({ payload, hash }), { minLength: 1, maxLength: 8 });
    const splits = fc.array(fc.nat(40_000), { maxLength: 30 });
    fc.assert(
      fc.property(frames, splits, (wanted, positions) => {
        const { reader, budget } = createReader();
        const stream = Buffer.concat(wanted.map((one) => frame(one.payload, one.hash)));
        expect(readAll(reader, cut(stream, positions))).toEqual(
          wanted.map((one) => `${one.hash}|${Buffer.from(one.payload).toString("latin1")}`),
        );
        expect(reader.isBegun).toBe(false);
        expect(budget.used).toBe(0);
      }),
    );
  });

  it("decodes one byte a chunk", () => {
    const { reader, budget } = createReader();
    const stream = Buffer.concat([frame("PING"), frame("x".repeat(9_000)), frame("[1]")]);
    expect(
      readAll(
        reader,
        [...stream].map((byte) => Uint8Array.of(byte)),
      ),
    ).toHaveLength(3);
    expect(budget.used).toBe(0);
  });

  it("never throws and never returns a frame that was not sent, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(200)), (bytes, positions) => {
        const stream = Buffer.from(bytes);
        const whole = readAll(createReader().reader, [stream]);
        expect(readAll(createReader().reader, cut(stream, positions))).toEqual(whole);
      }),
    );
  });

  it("returns a payload that came whole without copying it", () => {
    const { reader } = createReader();
    const stream = frame("payload");
    reader.push(stream);
    const next = reader.next();
    expect(typeof next === "object" && next.payload.buffer === stream.buffer).toBe(true);
  });

  it.each([
    ["GET / HTTP/1.1\r\n", "bad_header"],
    ["\u0000\u0001", "bad_header"],
    [":v1:ed2b0d3:PING", "bad_header"],
    ["-15:v1:ed2b0d3:PING", "bad_header"],
    ["+15:v1:ed2b0d3:PING", "bad_header"],
    ["015:v1:ed2b0d3:PING", "bad_header"],
    ["15 :v1:ed2b0d3:PING", "bad_header"],
    ["11111111111", "bad_header"],
    ["15:v1:ed2b0:3PING", "bad_header"],
    ["15:v1:ed2b0d34PING", "bad_header"],
    ["0:", "frame_too_small"],
    ["4:PING", "frame_too_small"],
    ["10:v1:ed2b0d3", "frame_too_small"],
    ["11:v1:ed2b0d3:", "empty"],
    ["1000000000:v1:ed2b0d3:", "frame_too_large"],
    ["16777217:v1:ed2b0d3:", "frame_too_large"],
    ["12:abcdef0:PING", "version"],
    ["15:v2:ed2b0d3:PING", "version"],
    ["16:v10:ed2b0d3:PING", "version"],
    ["15:v1:badbad0:", "token"],
  ])("refuses %j as %s, at once and in any split", (text, reason) => {
    expect(readAll(createReader().reader, [Buffer.from(text)])).toEqual([reason]);
    const bytes = [...Buffer.from(text)].map((byte) => Uint8Array.of(byte));
    expect(readAll(createReader().reader, bytes)).toEqual([reason]);
  });

  it("takes a frame of exactly the largest LENGTH", () => {
    const { reader } = createReader({ maxFrameBytes: 100 });
    expect(readAll(reader, [frame("x".repeat(89))])).toHaveLength(1);
    expect(readAll(reader, [frame("x".repeat(90))])).toEqual(["frame_too_large"]);
  });

  it("holds no more than twice what came of a frame whose LENGTH lies", () => {
    const { reader, budget } = createReader();
    readAll(reader, [Buffer.from("16000000:v1:ed2b0d3:"), Buffer.alloc(50_000)]);
    expect(reader.isInPayload).toBe(true);
    expect(budget.used).toBeLessThanOrEqual(100_000);
    reader.discard();
    expect(budget.used).toBe(0);
    expect(reader.isBegun).toBe(false);
  });

  it("refuses a frame that needs more memory than is left, but not one that came whole", () => {
    const { reader, budget } = createReader({ budgetBytes: 50_000 });
    budget.hold(50_000);
    expect(readAll(reader, [frame("x".repeat(40_000))])).toHaveLength(1);
    const split = cut(frame("x".repeat(40_000)), [20_000]);
    expect(readAll(reader, split)).toEqual(["memory"]);
  });
});
