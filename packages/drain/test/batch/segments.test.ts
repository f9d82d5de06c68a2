import type { ClaimedBatch } from "@millrace/core/buffer";
import { nightwatch } from "@millrace/drain/nightwatch";
import { describe, expect, it } from "vitest";
import { readSegments, type Segment } from "../../src/batch/segments.ts";
import { compileRouter } from "../../src/encode/router.ts";
import { claimedBatch } from "../fixtures/claimed-batch.ts";
import { log, numbers } from "../fixtures/telemetry.ts";

const router = compileRouter(nightwatch());

function read(
  batch: ClaimedBatch,
  {
    segmentLength = 1_000_000,
    beforePayload,
  }: { segmentLength?: number; beforePayload?: (id: number) => void } = {},
): Segment[] {
  return [
    ...readSegments(
      batch,
      router,
      {
        maxInflatedBytes: 1_000_000,
        maxTextBytes: 9_000_000,
        maxRecordHeapBytes: 5_000_000,
        segmentLength,
      },
      beforePayload,
    ),
  ];
}

/** `payload:record` of everything that a segment holds. */
function places({ records, deadLetters }: Segment): string[] {
  return [
    ...records.map(({ payload, recordIndex }) => `${payload.id}:${recordIndex}`),
    ...deadLetters.map(({ payloadId, recordIndex }) => `${payloadId}:${recordIndex ?? "all"}`),
  ];
}

describe("readSegments", () => {
  it("puts a small batch into one segment, an empty payload into none", () => {
    const [segment, ...more] = read(
      claimedBatch([JSON.stringify([log("a"), log("b")]), "[]", "[1]"]),
    );
    expect(segment && places(segment)).toEqual(["1:0", "1:1", "3:0"]);
    expect(more).toEqual([]);
    expect(read(claimedBatch(["[]"]))).toEqual([]);
  });

  it("ends a segment at its length, also in the middle of a payload, and loses no record", () => {
    const payload = JSON.stringify(numbers(1_000).map((index) => log(`message ${index}`)));
    const segments = read(claimedBatch([payload, payload]), { segmentLength: 10_000 });
    expect(segments.length).toBeGreaterThan(10);
    const longest = Math.max(
      ...segments.map(({ records }) => records.reduce((sum, { line }) => sum + line.length, 0)),
    );
    expect(longest).toBeLessThanOrEqual(10_000);
    expect(segments.flatMap(places)).toEqual(
      [1, 2].flatMap((id) => numbers(1_000).map((index) => `${id}:${index}`)),
    );
  });

  it("bounds dead letters as it bounds records, and quotes each exactly", () => {
    const count = 20_000;
    const segments = read(claimedBatch([`[${numbers(count).join(" , ")}]`]), {
      segmentLength: 100_000,
    });
    expect(Math.max(...segments.map(({ deadLetters }) => deadLetters.length))).toBeLessThan(1_000);
    const contents = segments.flatMap(({ deadLetters }) =>
      deadLetters.map(({ content }) => Buffer.from(content).toString()),
    );
    expect(contents).toEqual(numbers(count).map(String));
  });

  it("keeps the neighbours of a bad record and of a bad payload", () => {
    const [segment] = read(
      claimedBatch(['[{"t":"log"', JSON.stringify([log("a"), 7, log("\0"), log("b")])]),
    );
    expect(segment && places(segment)).toEqual(["2:0", "2:3", "1:all", "2:1", "2:2"]);
    expect(segment?.deadLetters.map(({ code, destination }) => [code, destination])).toEqual([
      ["json_invalid", undefined],
      ["record_invalid", undefined],
      ["record_invalid", "nightwatch_logs"],
    ]);
  });

  it("does not look at a payload that is convicted of killing a worker", () => {
    const read1: number[] = [];
    const batch = claimedBatch(["[]", "poison", JSON.stringify([log("a")])], [2]);
    const segments = read(batch, { beforePayload: (id) => read1.push(id) });
    expect(read1).toEqual([1, 3]);
    expect(segments.map(places)).toEqual([["2:all"], ["3:0"]]);
    const [letter] = segments[0]?.deadLetters ?? [];
    expect(letter?.code).toBe("kills_worker");
    expect(Buffer.from(letter?.content ?? []).toString()).toBe("poison");
  });

  it("mixes no payloads in a segment when somebody watches which one is in hand", () => {
    const payload = JSON.stringify([log("a"), log("b")]);
    const segments = read(claimedBatch([payload, payload, payload]), { beforePayload: () => {} });
    expect(segments.map(places)).toEqual([
      ["1:0", "1:1"],
      ["2:0", "2:1"],
      ["3:0", "3:1"],
    ]);
  });
});
