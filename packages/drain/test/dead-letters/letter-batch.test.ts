import { describe, expect, it } from "vitest";
import { readSegments } from "../../src/batch/segments.ts";
import { segmentLimits } from "../../src/batch/segment-limits.ts";
import { LetterBatch } from "../../src/dead-letters/letter-batch.ts";
import type { StoredLetter } from "../../src/dead-letters/stored-letter.ts";
import { compileRouter } from "../../src/encode/router.ts";
import { smallSchema } from "../fixtures/small-schema.ts";
import { log } from "../fixtures/telemetry.ts";

const LIMITS = segmentLimits({ heapMib: 256, maxInflatedBytes: 1_000_000 });

function letter(id: number, content: string, recordIndex: number | undefined): StoredLetter {
  return {
    id,
    batchId: "00000000-0000-4000-8000-000000000000",
    payloadId: 70 + id,
    recordIndex,
    code: "old_code",
    reason: "old reason",
    attempts: 0,
    token: "default",
    receivedAt: 1_767_225_600_000,
    content: Buffer.from(content),
  };
}

/** Decodes and encodes letters, as if the server took all. */
function read(...letters: StoredLetter[]): LetterBatch {
  const batch = new LetterBatch(letters);
  for (const segment of readSegments(batch.batch, compileRouter(smallSchema()), LIMITS)) {
    batch.read(segment);
  }
  return batch;
}

const GOOD = JSON.stringify(log("fine"));
const BAD = JSON.stringify(log("fine", { timestamp: "never" }));

describe("a batch of dead letters", () => {
  it("lets records and payloads go that can be read", () => {
    const batch = read(letter(1, GOOD, 3), letter(2, `[${GOOD},${GOOD}]`, undefined));
    expect(batch.landed.map(({ id }) => id)).toEqual([1, 2]);
    expect(batch.stillDead).toEqual([]);
  });

  it("keeps a record that is refused, with its new reason", () => {
    const batch = read(letter(1, BAD, 3));
    expect(batch.landed).toEqual([]);
    expect(batch.stillDead).toMatchObject([
      { failure: { code: "record_invalid", destination: "nightwatch_logs" } },
    ]);
  });

  it("keeps a letter without content, although nothing in it was refused", () => {
    const batch = read(letter(1, "", 3));
    expect(batch.landed).toEqual([]);
    expect(batch.stillDead).toMatchObject([{ failure: { code: "old_code" } }]);
  });

  it("puts the refused records of a payload in its place", () => {
    const batch = read(letter(1, `[${GOOD},${BAD}]`, undefined));
    expect(batch.landed.map(({ id }) => id)).toEqual([1]);
    expect(batch.fragments).toMatchObject([
      { letter: { id: 1 }, records: [{ payloadId: 71, recordIndex: 1, code: "record_invalid" }] },
    ]);
  });

  it("keeps a payload that still cannot be read", () => {
    const batch = read(letter(1, "{}", undefined), letter(2, GOOD, 0));
    expect(batch.stillDead).toMatchObject([{ letter: { id: 1 }, failure: { code: "not_array" } }]);
    expect(batch.landed.map(({ id }) => id)).toEqual([2]);
  });
});
