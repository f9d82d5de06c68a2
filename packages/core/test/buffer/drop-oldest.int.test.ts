import { expect, test } from "vitest";
import type { BufferStatus } from "../../src/buffer/buffer-status.ts";
import {
  appendNumbers,
  ids,
  numbers,
  openSession,
  startBuffer,
  texts,
  WIDE,
} from "../fixtures/test-buffer.ts";

function accountedFor(status: BufferStatus): number {
  const { pendingRows, claimedRows, landedRows, purgedRows, droppedRows, lostRows } = status;
  return pendingRows + claimedRows + landedRows + purgedRows + droppedRows + lostRows;
}

test("the oldest payloads give way, are counted, and their ids are not used again", async () => {
  const buffer = await startBuffer({ maxRows: 10, whenFull: "drop-oldest" });
  await appendNumbers(buffer, 0, 10);
  expect(buffer.status()).toMatchObject({ rows: 10, droppedRows: 0 });
  for (let n = 10; n < 25; n++) {
    expect(buffer.hasRoom()).toBe(true);
    await appendNumbers(buffer, n, n + 1);
    expect(buffer.status().rows).toBe(10);
  }
  expect(buffer.status()).toMatchObject({ droppedRows: 15, appendedRows: 25, rejectedRows: 0 });
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  const batch = session.claim(WIDE);
  expect(texts(batch)).toEqual(numbers(15, 25));
  expect(ids(batch)[0]).toBe(16);
  expect(accountedFor(buffer.status())).toBe(25);
  const page = await buffer.options.metrics?.metrics();
  expect(page).toMatch(/^millrace_buffer_dropped_rows_total\{reason="dropped_oldest"\} 15$/m);
});

test("what is claimed is never dropped: when that is all there is, appends are rejected", async () => {
  const buffer = await startBuffer({ maxRows: 10, whenFull: "drop-oldest" });
  await appendNumbers(buffer, 0, 10);
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  const held = session.claim({ ...WIDE, maxRows: 8 });
  await appendNumbers(buffer, 10, 12);
  expect(buffer.status()).toMatchObject({ rows: 10, claimedRows: 8, droppedRows: 2 });
  const rest = session.claim(WIDE);
  expect(texts(rest)).toEqual(["10", "11"]);
  expect(buffer.hasRoom()).toBe(false);
  await expect(buffer.append(Buffer.from("x"))).rejects.toMatchObject({ code: "BUFFER_FULL" });
  expect(buffer.status()).toMatchObject({ rejectedRows: 1, droppedRows: 2 });
  // The batch that was held all along is whole.
  expect(texts(held)).toEqual(numbers(0, 8));
  session.settle(held?.batchId ?? "");
  expect(buffer.status()).toMatchObject({ rows: 2, purgedRows: 8 });
  await appendNumbers(buffer, 12, 20);
  expect(accountedFor(buffer.status())).toBe(20);
});

test("a limit of bytes is kept too, in bounded steps, also after it was lowered", async () => {
  const before = await startBuffer();
  await Promise.all(Array.from({ length: 5_000 }, () => before.append(Buffer.alloc(100))));
  await before.close();
  const buffer = await startBuffer({
    path: before.options.path,
    maxBytes: 50_000,
    whenFull: "drop-oldest",
  });
  expect(buffer.status().bytes).toBe(500_000);
  await buffer.append(Buffer.alloc(30_000));
  // 499 payloads are below the limit, and the last one may go beyond it.
  expect(buffer.status()).toMatchObject({ rows: 500, bytes: 79_900, droppedRows: 4_501 });
  await buffer.append(Buffer.alloc(100));
  expect(buffer.status().bytes).toBeLessThanOrEqual(50_100);
  expect(accountedFor(buffer.status())).toBe(5_002);
});

test("while a drain claims, every payload is either drained or dropped, never both", async () => {
  const buffer = await startBuffer({ maxRows: 200, whenFull: "drop-oldest", groupMaxRows: 50 });
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  const drained: number[] = [];
  for (let round = 0; round < 40; round++) {
    await Promise.allSettled(numbers(0, 90).map((text) => buffer.append(Buffer.from(text))));
    const batch = session.claim({ ...WIDE, maxRows: 30 });
    drained.push(...ids(batch));
    const status = buffer.status();
    expect(status.rows).toBeLessThanOrEqual(200);
    expect(accountedFor(status)).toBe(status.appendedRows);
    if (batch !== undefined) session.settle(batch.batchId);
  }
  for (let batch = session.claim(WIDE); batch; batch = session.claim(WIDE)) {
    drained.push(...ids(batch));
    session.settle(batch.batchId);
  }
  const { appendedRows, droppedRows, purgedRows } = buffer.status();
  expect(new Set(drained).size).toBe(drained.length);
  expect(drained.length).toBe(purgedRows);
  expect(purgedRows + droppedRows).toBe(appendedRows);
  expect(droppedRows).toBeGreaterThan(1_000);
});
