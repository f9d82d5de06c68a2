import { statSync } from "node:fs";
import { expect, test } from "vitest";
import { waitFor } from "../../src/testing.ts";
import { openSession, startBuffer } from "../fixtures/test-buffer.ts";

const MIB = 1024 * 1024;

test("under constant load with a concurrent drain the WAL stays bounded; afterwards the file shrinks", async () => {
  const buffer = await startBuffer({ maxBytes: 1024 * MIB });
  const { path } = buffer.options;
  const session = openSession(path, buffer.registerOwner().owner);
  const payload = Buffer.alloc(8_000, "x");
  let largestWal = 0;
  let appended = 0;
  const waits: number[] = [];
  const append = async () => {
    const from = performance.now();
    await buffer.append(payload);
    waits.push(performance.now() - from);
    appended += payload.byteLength;
  };
  const drain = (rows: number) => {
    const batch = session.claim({ maxRows: rows, maxBytes: 1e9 });
    if (batch !== undefined) session.settle(batch.batchId);
    return batch !== undefined;
  };
  // With what the purges write this is twice the bound and more; a part stays, for the file to grow.
  while (appended < 384 * MIB) {
    await Promise.all(Array.from({ length: 250 }, append));
    drain(200);
    largestWal = Math.max(largestWal, statSync(`${path}-wal`).size);
  }
  expect(largestWal).toBeLessThan(384 * MIB);
  waits.sort((a, b) => a - b);
  const milliseconds = (share: number) => waits[Math.floor(waits.length * share)];
  console.log({
    what: "append, 250 at a time, while checkpoints and purges run",
    p50Ms: milliseconds(0.5),
    p99Ms: milliseconds(0.99),
    maxMs: waits.at(-1),
    largestWalMib: Math.round(largestWal / MIB),
  });
  await waitFor(() => statSync(`${path}-wal`).size <= 32 * MIB, { description: "a small WAL" });

  const largest = statSync(path).size;
  expect(largest).toBeGreaterThan(64 * MIB);
  while (drain(2_000));
  expect(buffer.status().rows).toBe(0);
  // Down to the room that is kept for the next burst.
  await waitFor(() => statSync(path).size < 40 * MIB, {
    timeoutMs: 25_000,
    description: `${largest} bytes given back`,
  });
});
