import { copyFileSync, existsSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { createBuffer } from "../../src/buffer/buffer.ts";
import type { BufferEvents } from "../../src/buffer/durable-buffer.ts";
import { damageMarkPath, markDamaged } from "../../src/buffer/salvage/damage-mark.ts";
import { salvagingPath } from "../../src/buffer/salvage/switch-files.ts";
import { createMemoryLogger, waitFor } from "../../src/testing.ts";
import {
  appendNumbers,
  ids,
  numbers,
  openSession,
  startBuffer,
  texts,
  WIDE,
} from "../fixtures/test-buffer.ts";
import { damageAt } from "./fixtures/damage.ts";

const PAGE_BYTES = 16_384;
const zeros = (page: Buffer) => void page.fill(0);

/** A closed buffer with `rows` payloads of 900 bytes, and the pages that hold them. */
async function closedBuffer(rows: number) {
  const buffer = await startBuffer();
  const { path } = buffer.options;
  for (let from = 0; from < rows; from += 500) {
    await Promise.all(
      Array.from({ length: Math.min(500, rows - from) }, (_, index) =>
        buffer.append(Buffer.alloc(900, String(from + index))),
      ),
    );
  }
  await buffer.close();
  const database = new Sqlite(path, { readonly: true });
  const leaves = database
    .prepare<[], { pageno: number; ncell: number }>(
      "SELECT pageno, ncell FROM dbstat WHERE name = 'payloads' AND pagetype = 'leaf'",
    )
    .all();
  database.close();
  return { path, leaves };
}

test("damage at run time fails the buffer, the next start salvages it, and the batch keeps its id", async () => {
  const { path, leaves } = await closedBuffer(3_000);
  const damagedLeaf = leaves[100];
  const buffer = await startBuffer({ path });
  const session = openSession(path, buffer.registerOwner().owner);
  const held = session.claim({ ...WIDE, maxRows: 50 });
  damageAt(path, ((damagedLeaf?.pageno ?? 0) - 1) * PAGE_BYTES, PAGE_BYTES, zeros, 0);

  const seen: Array<BufferEvents["file:damaged"]> = [];
  buffer.on("file:damaged", (event) => seen.push(event));
  expect(() => session.claim(WIDE)).toThrow(expect.objectContaining({ code: "BUFFER_DAMAGED" }));
  await expect(buffer.closed).resolves.toMatchObject({ code: "BUFFER_DAMAGED" });
  expect(buffer.state).toBe("failed");
  expect(seen).toHaveLength(1);
  await expect(buffer.append(Buffer.from("a"))).rejects.toMatchObject({ code: "BUFFER_CLOSED" });

  // Its WAL would be taken away by whoever closes the old file last.
  await expect(startBuffer({ path })).rejects.toMatchObject({ code: "BUFFER_LOCKED" });
  session.close();

  const again = createBuffer({ path, logger: createMemoryLogger(), minFreeBytes: 0 });
  const salvages: Array<BufferEvents["file:salvaged"]> = [];
  again.on("file:salvaged", (report) => salvages.push(report));
  await again.start();
  try {
    const rowsOnPage = damagedLeaf?.ncell ?? 0;
    expect(salvages).toMatchObject([{ isCountKnown: true, lostRows: rowsOnPage }]);
    expect(existsSync(salvages[0]?.setAside ?? "")).toBe(true);
    expect(existsSync(damageMarkPath(path))).toBe(false);
    expect(again.status()).toMatchObject({
      appendedRows: 3_000,
      lostRows: rowsOnPage,
      claimedRows: 50,
      rows: 3_000 - rowsOnPage,
      salvages: { complete: 0, partial: 1 },
    });
    const successor = openSession(path, again.registerOwner().owner);
    const recovered = successor.recover();
    expect(recovered?.batchId).toBe(held?.batchId);
    expect(ids(recovered)).toEqual(ids(held));
    await again.append(Buffer.from("new"));
    const rest = successor.claim(WIDE);
    expect(rest?.payloads.at(-1)).toMatchObject({ id: 3_001 });
    expect(rest?.payloads).toHaveLength(2_951 - rowsOnPage);
    successor.close();
  } finally {
    await again.close();
  }
});

test("a payload whose bytes have changed is not drained, is counted, and stops nothing", async () => {
  const { path, leaves } = await closedBuffer(100);
  // Near the end of a leaf there is the middle of some payload.
  const at = (leaves[1]?.pageno ?? 0) * PAGE_BYTES - 300;
  damageAt(path, at, 1, (byte) => void byte.writeUInt8(byte.readUInt8(0) ^ 4, 0), 0);
  const buffer = await startBuffer({ path });
  const lost: number[] = [];
  buffer.on("payloads:lost", ({ rows }) => lost.push(rows));
  const session = openSession(path, buffer.registerOwner().owner);
  const batch = session.claim(WIDE);
  expect(batch?.payloads).toHaveLength(99);
  expect(buffer.status()).toMatchObject({ claimedRows: 99, lostRows: 1, rows: 99 });
  await waitFor(() => lost.length > 0);
  expect(lost).toEqual([1]);
  session.settle(batch?.batchId ?? "");
  expect(buffer.status()).toMatchObject({ rows: 0, bytes: 0, purgedRows: 99, lostRows: 1 });
  expect(await buffer.options.metrics?.metrics()).toMatch(/^millrace_buffer_lost_rows_total 1$/m);
});

test("a salvage that was killed at any step is finished or begun again by the next start", async () => {
  for (const step of ["half written", "complete", "wal moved", "file moved"]) {
    const buffer = await startBuffer();
    const { path } = buffer.options;
    await appendNumbers(buffer, 0, 10);
    await buffer.close();
    const folder = dirname(path);
    if (step === "half written") {
      writeFileSync(salvagingPath(path), "SQLite format 3");
      markDamaged(path, { reason: "test" });
    } else {
      leaveSwitch(path, step);
    }
    const again = await startBuffer({ path });
    expect({ step, ...again.status() }).toMatchObject({ rows: 10, appendedRows: 10, lostRows: 0 });
    const session = openSession(path, again.registerOwner().owner);
    expect([step, ...texts(session.claim(WIDE))]).toEqual([step, ...numbers(0, 10)]);
    expect(readdirSync(folder).filter((name) => name.includes(".salvaging"))).toEqual([]);
    expect(readdirSync(folder).some((name) => name.startsWith(`${basename(path)}.corrupt-`))).toBe(
      true,
    );
  }
});

/** Makes what a kill between two renames leaves. */
function leaveSwitch(path: string, step: string): void {
  const setAside = `${path}.corrupt-1`;
  copyFileSync(path, salvagingPath(path));
  // The old file's WAL would be replayed into the new file, were it left.
  writeFileSync(`${path}-wal`, "old");
  markDamaged(path, { reason: "test", setAside });
  if (step === "complete") return;
  renameSync(`${path}-wal`, `${setAside}-wal`);
  if (step === "file moved") renameSync(path, setAside);
}

test("a mark made by hand has the next start salvage, and a sound file loses nothing by it", async () => {
  const buffer = await startBuffer();
  const { path } = buffer.options;
  await appendNumbers(buffer, 0, 10);
  const session = openSession(path, buffer.registerOwner().owner);
  session.settle(session.claim({ ...WIDE, maxRows: 4 })?.batchId ?? "");
  session.close();
  const { bufferId } = buffer;
  await buffer.close();
  writeFileSync(join(`${path}.damaged`), "the disk made a noise");
  const again = await startBuffer({ path });
  expect(again.bufferId).toBe(bufferId);
  expect(again.status()).toMatchObject({ rows: 6, purgedRows: 4, appendedRows: 10, lostRows: 0 });
  expect(again.status().salvages).toEqual({ complete: 1, partial: 0 });
  await again.append(Buffer.from("new"));
  const next = openSession(path, again.registerOwner().owner);
  expect(ids(next.claim(WIDE))).toEqual([5, 6, 7, 8, 9, 10, 11]);
});
