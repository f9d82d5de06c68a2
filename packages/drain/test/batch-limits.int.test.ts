import { waitFor } from "@millrace/core/testing";
import { expect, it } from "vitest";
import { emptyDatabase } from "./fixtures/empty-database.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { numbers, request } from "./fixtures/telemetry.ts";

it("a batch closes by rows, bytes or time, whichever comes first", async () => {
  const { url } = await emptyDatabase();
  const { append, pool, buffer } = await runPool(
    { url },
    { concurrency: "fixed", batchRows: 10, batchBytes: 5_000, batchWaitMs: 60_000 },
  );
  const landed: number[] = [];
  pool.on("batch:landed", ({ payloads }) => landed.push(payloads));
  const small = (count: number) => numbers(count).map((index) => [request(index)]);
  const large = (count: number) =>
    numbers(count).map((index) => [request(index, { url: "x".repeat(1_700) })]);
  const batches = (count: number) => waitFor(() => landed.length === count);

  // 25 of some 300 bytes: full by rows twice; the last five wait.
  await append(...small(25));
  await batches(2);
  expect(landed).toEqual([10, 10]);
  expect(buffer.status().pendingRows).toBe(5);

  // With three of 2 kB they have 5,000 bytes before they are ten.
  await append(...large(3));
  await batches(3);
  expect(landed[2]).toBeGreaterThan(4);
  expect(landed[2]).toBeLessThan(8);
  const left = buffer.status().pendingRows;
  expect(landed[2]).toBe(8 - left);

  // What is left is neither: it lands when it is told to, and else in a minute.
  await pool.close();
  expect(landed.slice(3)).toEqual([left]);

  const inTime = await runPool({ url }, { concurrency: "fixed", batchWaitMs: 300 });
  const since = performance.now();
  await inTime.append([request(1)]);
  await inTime.drained();
  expect(performance.now() - since).toBeGreaterThanOrEqual(250);
});
