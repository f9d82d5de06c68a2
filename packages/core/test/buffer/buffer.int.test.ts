import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { createBuffer } from "../../src/buffer/buffer.ts";
import { waitFor } from "../../src/testing.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";
import {
  appendNumbers,
  ids,
  numbers,
  openSession,
  startBuffer,
  texts,
  WIDE,
} from "../fixtures/test-buffer.ts";

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("payloads come back byte for byte, with their token and time, in the order they came", async () => {
  const buffer = await startBuffer();
  const before = Date.now();
  const pool = randomBytes(64);
  const payloads: Uint8Array[] = [
    gzipSync('[{"t":"log"}]'),
    Buffer.alloc(0),
    new Uint8Array(0),
    randomBytes(16 * 1024 * 1024),
    Buffer.from([0, 0xff, 0, 0x80]),
    new Uint8Array(pool.buffer, pool.byteOffset + 3, 10),
    ...Array.from({ length: 50 }, (_, index) => randomBytes(index * 997)),
    Buffer.from("not UTF-8: \uD800", "utf16le"),
  ];
  await Promise.all(payloads.map((payload, index) => buffer.append(payload, `token ${index % 3}`)));
  expect(buffer.status()).toMatchObject({
    rows: payloads.length,
    pendingRows: payloads.length,
    bytes: payloads.reduce((sum, { byteLength }) => sum + byteLength, 0),
  });
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  const batch = session.claim({ maxRows: 1_000, maxBytes: 1024 ** 3 });
  expect(batch?.payloads.map(({ payload }) => digest(payload))).toEqual(payloads.map(digest));
  expect(batch?.payloads.map(({ token }) => token)).toEqual(
    payloads.map((_, index) => `token ${index % 3}`),
  );
  for (const { receivedAt, payload } of batch?.payloads ?? []) {
    expect(Buffer.isBuffer(payload)).toBe(true);
    expect(receivedAt).toBeGreaterThanOrEqual(before);
    expect(receivedAt).toBeLessThanOrEqual(Date.now());
  }
});

test("ids rise by one and are not used again after reopening, nor when everything is purged", async () => {
  const path = join(temporaryFolder(), "buffer.db");
  let expected = 1;
  let bufferId = "";
  for (let round = 0; round < 3; round++) {
    const buffer = await startBuffer({ path });
    if (round > 0) expect(buffer.bufferId).toBe(bufferId);
    bufferId = buffer.bufferId;
    await appendNumbers(buffer, 0, 10);
    const session = openSession(path, buffer.registerOwner().owner);
    const batch = session.claim(WIDE);
    expect(ids(batch)).toEqual(Array.from({ length: 10 }, (_, index) => expected + index));
    expected += 10;
    session.settle(batch?.batchId ?? "");
    expect(buffer.status()).toMatchObject({ rows: 0, bytes: 0, purgedRows: expected - 1 });
    session.close();
    await buffer.close();
  }
});

test("appends of one turn share a commit; a lone one is committed at once", async () => {
  const buffer = await startBuffer({ groupMaxWaitMs: 60_000 });
  await buffer.append(Buffer.from("alone"));
  expect(buffer.status().commits).toBe(1);
  await appendNumbers(buffer, 0, 500);
  expect(buffer.status().commits).toBe(2);
});

test("every so many groups one waits in full, to find out how many rows come in that time", async () => {
  const buffer = await startBuffer({ groupMaxWaitMs: 2 });
  for (let n = 0; n < 64; n++) await buffer.append(Buffer.from("alone"));
  const startedAt = performance.now();
  await buffer.append(Buffer.from("waits"));
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(2);
  expect(buffer.status().commits).toBe(65);
});

test("a group is cut at its limits of rows and bytes, and stays in order", async () => {
  const buffer = await startBuffer({ groupMaxRows: 10, groupMaxBytes: 100 });
  await appendNumbers(buffer, 100, 125);
  expect(buffer.status().commits).toBe(3);
  const large = Buffer.alloc(250, "x");
  await Promise.all([buffer.append(large), buffer.append(large), buffer.append(large)]);
  expect(buffer.status().commits).toBe(6);
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  expect(texts(session.claim(WIDE)).slice(0, 25)).toEqual(numbers(100, 125));
});

test("a full buffer rejects, counts what it refused, and takes more once there is room", async () => {
  const buffer = await startBuffer({ maxRows: 10 });
  await appendNumbers(buffer, 0, 9);
  // Ten at once: only one fits, although none is committed when the last one asks.
  const results = await Promise.allSettled(
    numbers(9, 19).map((text) => buffer.append(Buffer.from(text))),
  );
  expect(results.map(({ status }) => status)).toEqual([
    "fulfilled",
    ...Array.from({ length: 9 }, () => "rejected"),
  ]);
  expect(results[1]).toMatchObject({ reason: { code: "BUFFER_FULL", retryable: true } });
  expect(buffer.status()).toMatchObject({ rows: 10, rejectedRows: 9 });
  expect(buffer.hasRoom()).toBe(false);
  expect(buffer.utilisation()).toBe(1);
  expect(buffer.health()).toEqual({ healthy: false, reason: "full" });

  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  session.settle(session.claim({ maxRows: 1, maxBytes: 10 })?.batchId ?? "");
  await buffer.append(Buffer.from("19"));
  expect(buffer.health()).toEqual({ healthy: false, reason: "full" });
  session.settle(session.claim(WIDE)?.batchId ?? "");
  expect(buffer.health()).toEqual({ healthy: true });
});

test("the limit of bytes counts too", async () => {
  const buffer = await startBuffer({ maxBytes: 1_000 });
  for (let n = 0; n < 10; n++) await buffer.append(Buffer.alloc(100));
  await expect(buffer.append(Buffer.alloc(1))).rejects.toMatchObject({ code: "BUFFER_FULL" });
});

test("with block, appends wait and go on in order as room is made, never beyond the limit", async () => {
  const buffer = await startBuffer({ maxRows: 3, whenFull: "block" });
  const done: string[] = [];
  const append = async (text: string) => {
    await buffer.append(Buffer.from(text));
    done.push(text);
  };
  const appends = numbers(0, 20).map(append);
  await waitFor(() => done.length === 3);
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  const drained: string[] = [];
  await waitFor(() => {
    expect(buffer.status().rows).toBeLessThanOrEqual(3);
    const batch = session.claim({ maxRows: 2, maxBytes: 1_000 });
    if (batch !== undefined) {
      drained.push(...texts(batch));
      session.settle(batch.batchId);
      // It finds room, but others have waited for it longer.
      if (drained.length === 2) appends.push(append("late"));
    }
    return drained.length === 21;
  });
  await Promise.all(appends);
  expect(drained).toEqual([...numbers(0, 20), "late"]);
  expect(done).toEqual(drained);
  expect(buffer.status().rejectedRows).toBe(0);
});

test("with block, what waits is bounded in bytes; beyond it appends are rejected", async () => {
  const buffer = await startBuffer({ maxRows: 1, whenFull: "block", maxBlockedBytes: 100 });
  await buffer.append(Buffer.from("first"));
  const waiting = buffer.append(Buffer.alloc(100, "a"));
  await expect(buffer.append(Buffer.alloc(1))).rejects.toMatchObject({ code: "BUFFER_FULL" });
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  session.settle(session.claim(WIDE)?.batchId ?? "");
  await waiting;
  // What was admitted no longer counts as waiting.
  const next = buffer.append(Buffer.alloc(100, "b"));
  session.settle(session.claim(WIDE)?.batchId ?? "");
  await next;
  expect(buffer.status()).toMatchObject({ rows: 1, rejectedRows: 1 });
});

test("closing rejects what still waits for room and keeps what was taken", async () => {
  const buffer = await startBuffer({ maxRows: 1, whenFull: "block" });
  await buffer.append(Buffer.from("kept"));
  const waiting = buffer.append(Buffer.from("waits"));
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  session.settle(session.claim(WIDE)?.batchId ?? "");
  const [append] = await Promise.allSettled([waiting, buffer.close()]);
  expect(append).toMatchObject({ reason: { code: "BUFFER_CLOSED" } });
  await expect(buffer.append(Buffer.from("late"))).rejects.toMatchObject({ code: "BUFFER_CLOSED" });
  const again = await startBuffer({ path: buffer.options.path });
  expect(again.status()).toMatchObject({ rows: 0, appendedRows: 1 });
});

test("what was appended before close is committed by it, even while another writer has the lock", async () => {
  const buffer = await startBuffer();
  const { default: Sqlite } = await import("better-sqlite3");
  const other = new Sqlite(buffer.options.path);
  other.exec("BEGIN IMMEDIATE");
  const appends = numbers(0, 5).map((text) => buffer.append(Buffer.from(text)));
  const closing = buffer.close();
  await expect(buffer.append(Buffer.from("late"))).rejects.toMatchObject({ code: "BUFFER_CLOSED" });
  setTimeout(() => other.exec("COMMIT"), 30);
  await Promise.all([...appends, closing]);
  other.close();
  const again = await startBuffer({ path: buffer.options.path });
  expect(again.status().pendingRows).toBe(5);
});

test("while another writer has the lock appends wait on timers, and keep their order", async () => {
  const buffer = await startBuffer();
  const { default: Sqlite } = await import("better-sqlite3");
  const other = new Sqlite(buffer.options.path);
  other.exec("BEGIN IMMEDIATE");
  const appends = [buffer.append(Buffer.from("0"))];
  let turns = 0;
  await waitFor(() => {
    // The event loop goes on turning: this runs at all.
    appends.push(buffer.append(Buffer.from(String(++turns))));
    return turns === 10;
  });
  expect(buffer.status().commits).toBe(0);
  other.exec("COMMIT");
  other.close();
  await Promise.all(appends);
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  expect(texts(session.claim(WIDE))).toEqual(numbers(0, 11));
});

test("a value that cannot be stored is refused alone: its neighbours land", async () => {
  const buffer = await startBuffer();
  const results = await Promise.allSettled([
    buffer.append(Buffer.from("a")),
    buffer.append("text" as never),
    buffer.append(undefined as never),
    buffer.append(Buffer.from("b"), 7 as never),
    buffer.append(Buffer.from("c")),
  ]);
  expect(results.map(({ status }) => status)).toEqual([
    "fulfilled",
    "rejected",
    "rejected",
    "rejected",
    "fulfilled",
  ]);
  expect(results[1]).toMatchObject({ reason: expect.any(TypeError) });
  expect(buffer.status()).toMatchObject({ rows: 2, bytes: 2 });
  expect(buffer.hasRoom()).toBe(true);
});

test("before start and after close it takes nothing, and still answers", async () => {
  const path = join(temporaryFolder(), "buffer.db");
  const idle = createBuffer({ path });
  await expect(idle.append(Buffer.from("a"))).rejects.toMatchObject({ code: "BUFFER_CLOSED" });
  expect(() => idle.registerOwner()).toThrow(expect.objectContaining({ code: "BUFFER_CLOSED" }));
  expect(idle.status()).toMatchObject({ rows: 0, pendingRows: 0, oldestPendingAt: undefined });
  expect(idle.hasRoom()).toBe(false);
  expect(idle.utilisation()).toBe(0);
  expect(idle.health()).toEqual({ healthy: true });

  const buffer = await startBuffer({ path });
  await buffer.append(Buffer.from("a"));
  const owner = buffer.registerOwner();
  await buffer.close();
  expect(buffer.state).toBe("closed");
  expect(buffer.status()).toMatchObject({ rows: 1, pendingRows: 1 });
  expect(buffer.hasRoom()).toBe(false);
  expect(buffer.health()).toEqual({ healthy: true });
  expect(() => buffer.registerOwner()).toThrow(expect.objectContaining({ code: "BUFFER_CLOSED" }));
  owner.countCrash(0);
  owner.release();
});

test("the age of the oldest pending payload is known", async () => {
  const buffer = await startBuffer();
  expect(buffer.status().oldestPendingAt).toBeUndefined();
  const before = Date.now();
  await buffer.append(Buffer.from("a"));
  const oldest = buffer.status().oldestPendingAt ?? 0;
  expect(oldest).toBeGreaterThanOrEqual(before);
  await appendNumbers(buffer, 0, 5);
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  expect(buffer.status().oldestPendingAt).toBe(oldest);
  expect(session.pending()).toMatchObject({ rows: 6, bytes: 6, oldestReceivedAt: oldest });
  session.claim(WIDE);
  expect(buffer.status().oldestPendingAt).toBeUndefined();
  expect(session.pending()).toEqual({ rows: 0, bytes: 0, oldestReceivedAt: undefined });
});

test("its metrics are on the registry while it runs", async () => {
  const buffer = await startBuffer({ maxRows: 2 });
  await appendNumbers(buffer, 0, 2);
  await expect(buffer.append(Buffer.from("x"))).rejects.toThrow(/full/);
  const page = await buffer.options.metrics?.metrics();
  expect(page).toMatch(/^millrace_buffer_rows 2$/m);
  expect(page).toMatch(/^millrace_buffer_limit_rows 2$/m);
  expect(page).toMatch(/^millrace_buffer_commits_total 1$/m);
  expect(page).toMatch(/^millrace_buffer_refused_rows_total\{reason="full"\} 1$/m);
  await buffer.close();
  expect(await buffer.options.metrics?.metrics()).toBe("\n");
});

test("options that make no sense are refused before anything is opened", () => {
  const { options } = createBuffer({ path: "a.db" });
  expect(options).toMatchObject({ maxRows: 100_000, whenFull: "reject", durability: "process" });
  for (const bad of [
    { path: "" },
    { path: " " },
    { path: ":memory:" },
    { path: "a.db", maxRows: 0 },
    { path: "a.db", whenFull: "drop" },
    { path: "a.db", groupMaxWaitMs: -1 },
    {},
  ]) {
    expect(() => createBuffer(bad as never)).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
  }
});

test("with durability power it stores and drains the same", async () => {
  const buffer = await startBuffer({ durability: "power" });
  await appendNumbers(buffer, 0, 20);
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  const batch = session.claim(WIDE);
  expect(texts(batch)).toEqual(numbers(0, 20));
  session.settle(batch?.batchId ?? "");
  expect(buffer.status().rows).toBe(0);
});
