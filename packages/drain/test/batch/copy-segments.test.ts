import { nightwatch } from "@millrace/drain/nightwatch";
import { expect, it } from "vitest";
import { readCopySegments } from "../../src/batch/copy-segments.ts";
import { CopyTextPool } from "../../src/batch/copy-text-pool.ts";
import { ScannedPayloads } from "../../src/batch/scanned-payloads.ts";
import { compileRouter } from "../../src/encode/router.ts";
import { compileScannedTables } from "../../src/scan/scanned-tables.ts";
import { claimedBatch } from "../fixtures/claimed-batch.ts";
import { log, numbers } from "../fixtures/telemetry.ts";

const router = compileRouter(nightwatch());
const scanned = new ScannedPayloads(compileScannedTables(nightwatch(), router));

function read(payloads: readonly string[], segmentLength: number, pool = new CopyTextPool()) {
  const limits = {
    maxInflatedBytes: 1_000_000,
    maxTextBytes: 9_000_000,
    maxRecordHeapBytes: 5_000_000,
    segmentLength,
  };
  const batch = claimedBatch(payloads);
  return readCopySegments(batch, router, scanned, limits, pool, () => {});
}

it("ends a segment with the payload that fills it", () => {
  const payload = JSON.stringify([log("a"), log("b")]);
  const lines = (segmentLength: number) =>
    [...read(Array<string>(10).fill(payload), segmentLength)].map(({ tables }) =>
      [...tables.values()].reduce((sum, text) => sum + text.lines, 0),
    );
  expect(lines(1)).toEqual(Array(10).fill(2));
  expect(lines(900)).toEqual(Array(5).fill(4));
  expect(lines(1_000_000)).toEqual([20]);
});

it("has no text for a table that takes none of its records", () => {
  const [segment] = read(['[{"t":"log"},{"t":"log","timestamp":"x"}]'], 1_000_000);
  expect(segment?.tables.size).toBe(0);
  expect(segment?.deadLetters).toHaveLength(2);
});

it("writes to the memory of texts that were given back, and keeps none that are large", () => {
  const pool = new CopyTextPool();
  const contents = (payload: string) => {
    const [segment] = read([payload], 9_000_000, pool);
    return [...(segment?.tables ?? [])].map(([table, text]) => {
      const content = text.bytes().toString();
      pool.giveBack(table, text);
      return { content, memory: text.bytes().buffer };
    });
  };
  const first = contents(JSON.stringify(numbers(100).map((index) => log(`first ${index}`))));
  const second = contents(JSON.stringify([log("second")]));
  expect(second[0]?.memory).toBe(first[0]?.memory);
  expect(second[0]?.content).toMatch(/^[^\n]*second[^\n]*\n$/);

  const large = contents(JSON.stringify(numbers(15).map(() => log("x".repeat(100_000)))));
  const last = contents(JSON.stringify([log("last")]));
  expect(last[0]?.memory).not.toBe(large[0]?.memory);
});
