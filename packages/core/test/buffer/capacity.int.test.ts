import fc from "fast-check";
import { expect, test } from "vitest";
import { waitFor } from "../../src/testing.ts";
import {
  appendNumbers,
  ids,
  numbers,
  openSession,
  startBuffer,
  texts,
  WIDE,
} from "../fixtures/test-buffer.ts";

const FULL = { code: "BUFFER_FULL", retryable: true };

test("a buffer that holds more than its lowered limit starts, refuses, drains in order, and takes again", async () => {
  const first = await startBuffer({ maxRows: 1_000 });
  const { path } = first.options;
  await appendNumbers(first, 0, 1_000);
  await first.close();

  const lowered = await startBuffer({ path, maxRows: 100 });
  expect(lowered.status()).toMatchObject({ rows: 1_000, pendingRows: 1_000 });
  await expect(lowered.append(Buffer.from("more"))).rejects.toMatchObject(FULL);
  const session = openSession(path, lowered.registerOwner().owner);
  const drained: string[] = [];
  for (let round = 0; round < 10; round++) {
    const batch = session.claim({ ...WIDE, maxRows: 100 });
    drained.push(...texts(batch));
    session.settle(batch?.batchId ?? "");
  }
  expect(drained).toEqual(numbers(0, 1_000));
  await waitFor(() => lowered.status().rows === 0);
  await appendNumbers(lowered, 1_000, 1_100);
  await expect(lowered.append(Buffer.from("101st"))).rejects.toMatchObject(FULL);
  expect(lowered.status()).toMatchObject({ rows: 100, lostRows: 0, droppedRows: 0 });
});

test("the limits of rows and bytes count what was in the file before the start", async () => {
  const payload = Buffer.alloc(10_000);
  const first = await startBuffer({ maxBytes: 50_000 });
  const { path } = first.options;
  for (let count = 0; count < 5; count++) await first.append(payload);
  await expect(first.append(payload)).rejects.toMatchObject(FULL);
  await first.close();

  const byBytes = await startBuffer({ path, maxBytes: 50_000 });
  await expect(byBytes.append(payload)).rejects.toMatchObject(FULL);
  expect(byBytes.status()).toMatchObject({ rows: 5, bytes: 50_000, rejectedRows: 1 });
  await byBytes.close();

  const byRows = await startBuffer({ path, maxRows: 5 });
  await expect(byRows.append(Buffer.from("x"))).rejects.toMatchObject(FULL);
});

test("raising the limit of a full buffer harms nothing that is in it", async () => {
  const first = await startBuffer({ maxRows: 200 });
  const { path } = first.options;
  await appendNumbers(first, 0, 200);
  await expect(first.append(Buffer.from("more"))).rejects.toMatchObject(FULL);
  await first.close();

  const raised = await startBuffer({ path, maxRows: 400 });
  await appendNumbers(raised, 200, 400);
  await expect(raised.append(Buffer.from("more"))).rejects.toMatchObject(FULL);
  const session = openSession(path, raised.registerOwner().owner);
  const batch = session.claim(WIDE);
  expect(texts(batch)).toEqual(numbers(0, 400));
  expect(new Set(ids(batch)).size).toBe(400);
});

test("rows that a worker has claimed take room until they have landed", async () => {
  const buffer = await startBuffer({ maxRows: 100 });
  await appendNumbers(buffer, 0, 100);
  const { path } = buffer.options;
  const owner = buffer.registerOwner().owner;
  const sessions = [openSession(path, owner, 0), openSession(path, owner, 1)];
  const batches = sessions.map((session) => session.claim({ ...WIDE, maxRows: 50 }));
  expect(buffer.status()).toMatchObject({ pendingRows: 0, claimedRows: 100, rows: 100 });
  await expect(buffer.append(Buffer.from("more"))).rejects.toMatchObject(FULL);
  // Both give up, and their successors take the same batches over: no larger than they were.
  for (const session of sessions) session.close();
  const again = [openSession(path, owner, 0), openSession(path, owner, 1)];
  expect(again.map((session) => session.recover()?.batchId)).toEqual(
    batches.map((batch) => batch?.batchId),
  );
  await expect(buffer.append(Buffer.from("more"))).rejects.toMatchObject(FULL);
  again[0]?.settle(batches[0]?.batchId ?? "");
  await waitFor(() => buffer.status().rows === 50);
  await appendNumbers(buffer, 100, 150);
  await expect(buffer.append(Buffer.from("more"))).rejects.toMatchObject(FULL);
});

test("a limit of bytes is exceeded by less than one payload, however many come at once and whatever their sizes", async () => {
  const maxBytes = 100_000;
  const largest = maxBytes / 100;
  const sizes = fc.array(fc.integer({ min: 1, max: largest }), { minLength: 300, maxLength: 600 });
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1, max: 100 }), async (payloads, atOnce) => {
      const buffer = await startBuffer({ maxBytes });
      let stored = 0;
      let refused = 0;
      for (let start = 0; start < payloads.length; start += atOnce) {
        const group = payloads.slice(start, start + atOnce);
        const outcomes = await Promise.allSettled(
          group.map((bytes) => buffer.append(Buffer.alloc(bytes))),
        );
        for (const [index, { status }] of outcomes.entries()) {
          if (status === "fulfilled") stored += group[index] ?? 0;
          else refused++;
        }
        expect(buffer.status().bytes).toBe(stored);
        expect(stored).toBeLessThan(maxBytes + largest);
      }
      expect(buffer.status().rejectedRows).toBe(refused);
      const wanted = payloads.reduce((sum, bytes) => sum + bytes, 0);
      if (wanted > maxBytes + largest) expect(refused).toBeGreaterThan(0);
      await buffer.close();
    }),
    { numRuns: 10 },
  );
});
