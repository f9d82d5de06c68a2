import type { ClaimedBatch } from "@millrace/core/buffer";
import { nightwatch } from "@millrace/drain/nightwatch";
import { expect, it } from "vitest";
import { readCopySegments } from "../../src/batch/copy-segments.ts";
import { readSegments } from "../../src/batch/segments.ts";
import { compileRouter } from "../../src/encode/router.ts";
import { log, numbers, request } from "../fixtures/telemetry.ts";

const router = compileRouter(nightwatch());
const LIMITS = {
  maxInflatedBytes: 1_000_000,
  maxTextBytes: 9_000_000,
  maxRecordHeapBytes: 5_000_000,
};

function batchOf(payloads: readonly string[]): ClaimedBatch {
  return {
    batchId: "6f2b8d2e-9f7c-4a31-9a56-0a3f5f3b1c11",
    earlierAttempts: 0,
    crashes: 0,
    convictedIds: [],
    payloads: payloads.map((payload, index) => ({
      id: index + 1,
      receivedAt: 1_767_225_600_000,
      token: "default",
      payload: Buffer.from(payload),
    })),
  };
}

const PAYLOADS = [
  JSON.stringify(numbers(40).flatMap((index) => [request(index), log(`no. ${index} \t €`)])),
  "{",
  JSON.stringify([log("last"), log(7), { t: "user", timestamp: 1_767_225_600, id: "u" }, 5]),
];

it.each([1_000_000, 2_000, 1])(
  "makes of segments of %d characters what record by record makes of them",
  (segmentLength) => {
    const limits = { ...LIMITS, segmentLength };
    const byRecord = [...readSegments(batchOf(PAYLOADS), router, limits)];
    const collected: unknown[] = [];
    const segments = [
      ...readCopySegments(batchOf(PAYLOADS), router, limits, (record) => collected.push(record)),
    ];

    expect(segments.map(({ deadLetters }) => deadLetters)).toEqual(
      byRecord.map(({ deadLetters }) => deadLetters),
    );
    expect(
      segments.map(({ tables }) =>
        [...tables].map(([{ name }, text]) => [name, text.lines, text.bytes().toString()]),
      ),
    ).toEqual(
      byRecord.map(({ records }) =>
        [...Map.groupBy(records, ({ table }) => table.name)].map(([name, rows]) => [
          name,
          rows.length,
          rows.map(({ line }) => line).join(""),
        ]),
      ),
    );
    expect(collected).toEqual(
      byRecord.flatMap(({ records }) => records.map(({ record }) => record)),
    );
    expect(collected).toHaveLength(82);
  },
);
