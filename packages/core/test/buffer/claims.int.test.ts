import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import Sqlite from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import type { DurableBuffer } from "../../src/buffer/durable-buffer.ts";
import { waitFor } from "../../src/testing.ts";
import { spawnFixture } from "../fixtures/spawn-fixture.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";
import {
  appendNumbers,
  ids,
  numbers,
  openSession,
  startBuffer,
  texts,
} from "../fixtures/test-buffer.ts";

const limits = (maxRows: number) => ({ maxRows, maxBytes: 1e9 });

/** What `select synced, count(*) from buffer_rows group by 1` prints. */
function synced(path: string): Record<number, number> {
  const database = new Sqlite(path);
  try {
    const rows = database
      .prepare<[], { synced: number; count: number }>(
        "SELECT synced, count(*) AS count FROM buffer_rows GROUP BY 1",
      )
      .all();
    return Object.fromEntries(rows.map((row) => [row.synced, row.count]));
  } finally {
    database.close();
  }
}

/** Runs a statement on the file as nothing in the packages would: as a crash left it. */
function tamper(path: string, statement: string, ...values: unknown[]): void {
  const database = new Sqlite(path);
  database.prepare(statement).run(...values);
  database.close();
}

async function filled(rows: number) {
  const buffer = await startBuffer();
  await appendNumbers(buffer, 0, rows);
  const { path } = buffer.options;
  return { buffer, path, owner: buffer.registerOwner() };
}

test("claims go first in, first out, within rows and bytes", async () => {
  const buffer = await startBuffer();
  for (const size of [10, 10, 100, 10, 10]) await buffer.append(Buffer.alloc(size));
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  const claim = (maxRows: number, maxBytes: number) => ids(session.claim({ maxRows, maxBytes }));
  expect(claim(1, 1_000)).toEqual([1]);
  expect(claim(10, 50)).toEqual([2]);
  // Larger than a batch may be: a batch of its own.
  expect(claim(10, 50)).toEqual([3]);
  expect(claim(10, 20)).toEqual([4, 5]);
  expect(session.claim(limits(10))).toBeUndefined();
});

test("the view tells pending, claimed by whom, and drained rows apart, all the way", async () => {
  const { buffer, path, owner } = await filled(10);
  expect(synced(path)).toEqual({ 0: 10 });
  const first = openSession(path, owner.owner, 0);
  const third = openSession(path, owner.owner, 2);
  const batch = first.claim(limits(3));
  third.claim(limits(4));
  expect(synced(path)).toEqual({ 0: 3, 100: 3, 102: 4 });
  expect(buffer.status()).toMatchObject({ rows: 10, pendingRows: 3 });
  // Killed between the landing and the purge.
  tamper(path, "UPDATE claims SET state = 'landed' WHERE batch_id = ?", batch?.batchId);
  expect(synced(path)).toEqual({ 0: 3, 1: 3, 102: 4 });
  first.settle(batch?.batchId ?? "");
  expect(synced(path)).toEqual({ 0: 3, 102: 4 });
  expect(buffer.status()).toMatchObject({ rows: 7, pendingRows: 3, purgedRows: 3 });
});

test("settling twice, or what nobody claimed, changes nothing", async () => {
  const { buffer, path, owner } = await filled(4);
  const session = openSession(path, owner.owner);
  const batch = session.claim(limits(2));
  session.settle(batch?.batchId ?? "");
  session.settle(batch?.batchId ?? "");
  session.settle(randomUUID());
  expect(buffer.status()).toMatchObject({ rows: 2, purgedRows: 2, pendingRows: 2 });
  expect(session.openBatchIds()).toEqual([]);
});

test("claims of a killed process are taken over with the same batch id and the same rows", async () => {
  const path = join(temporaryFolder(), "buffer.db");
  const killed = spawnFixture("holds-buffer", path, "10", "3", "4");
  await waitFor(() => killed.lines.includes("ready"));
  const held = killed.lines
    .slice(0, 2)
    .map((line) => JSON.parse(line) as { batchId: string; ids: number[] });

  // Alive: not for others.
  const other = openSession(path, randomUUID());
  expect(other.recover()).toBeUndefined();

  killed.child.kill("SIGKILL");
  await killed.ended;
  const buffer = await startBuffer({ path });
  const session = openSession(path, buffer.registerOwner().owner);
  const recovered = [session.recover(), session.claim(limits(100))];
  expect(recovered[0]).toMatchObject({ batchId: held[0]?.batchId, earlierAttempts: 1, crashes: 0 });
  expect(ids(recovered[0])).toEqual(held[0]?.ids);
  expect(texts(recovered[1])).toEqual(numbers(7, 10));
  for (const batch of recovered) session.settle(batch?.batchId ?? "");
  const last = session.recover();
  expect(last?.batchId).toBe(held[1]?.batchId);
  expect(ids(last)).toEqual(held[1]?.ids);
  session.settle(last?.batchId ?? "");
  expect(session.recover()).toBeUndefined();
  expect(buffer.status()).toMatchObject({ rows: 0, purgedRows: 10 });
});

test("the successor of a dead worker takes over what that one held, and nothing of its neighbours", async () => {
  const { path, owner } = await filled(10);
  const dead = openSession(path, owner.owner, 1);
  const batch = dead.claim(limits(3));
  openSession(path, owner.owner, 0).claim(limits(3));
  dead.close();
  expect(openSession(path, owner.owner, 2).recover()).toBeUndefined();
  const successor = openSession(path, owner.owner, 1);
  const recovered = successor.recover();
  expect(recovered).toMatchObject({ batchId: batch?.batchId, earlierAttempts: 1 });
  expect(texts(recovered)).toEqual(texts(batch));
});

test("what a released owner held is free at once; what a living one holds is not", async () => {
  const { buffer, path, owner } = await filled(10);
  const leaving = openSession(path, owner.owner, 0);
  const staying = buffer.registerOwner();
  const taking = openSession(path, staying.owner, 0);
  const batch = leaving.claim(limits(3));
  expect(taking.recover()).toBeUndefined();
  owner.release();
  expect(taking.recover()).toMatchObject({ batchId: batch?.batchId, earlierAttempts: 1 });
  staying.release();
});

test("an owner that has been silent for long counts as dead though its pid lives", async () => {
  const { buffer, path, owner } = await filled(3);
  const batch = openSession(path, owner.owner).claim(limits(3));
  tamper(
    path,
    "INSERT INTO owners VALUES ('silent', ?, (SELECT boot_id FROM owners), ?)",
    process.ppid,
    Date.now() - 60_000,
  );
  tamper(path, "UPDATE claims SET owner = 'silent'");
  const session = openSession(path, buffer.registerOwner().owner);
  expect(session.recover()?.batchId).toBe(batch?.batchId);
});

test("an owner of an earlier boot counts as dead", async () => {
  const { buffer, path, owner } = await filled(3);
  const batch = openSession(path, owner.owner).claim(limits(3));
  tamper(path, "UPDATE owners SET boot_id = 'before'");
  const session = openSession(path, buffer.registerOwner().owner);
  expect(session.recover()?.batchId).toBe(batch?.batchId);
});

test("owners keep saying that they live", async () => {
  const { path } = await filled(0);
  const database = new Sqlite(path, { readonly: true });
  onTestFinished(() => void database.close());
  const heartbeat = () => Number(database.prepare("SELECT heartbeat_at FROM owners").pluck().get());
  const first = heartbeat();
  await waitFor(() => heartbeat() > first, { intervalMs: 100 });
});

test("every crash of a worker is counted, and convicts the payload it was about to read", async () => {
  const { path, owner } = await filled(5);
  const claimed = openSession(path, owner.owner, 3);
  const batch = claimed.claim(limits(5));
  const batchId = batch?.batchId ?? "";
  claimed.suspect(batchId, 2);
  owner.countCrash(3);
  owner.countCrash(7);
  const second = openSession(path, owner.owner, 3);
  expect(second.recover()).toMatchObject({ batchId, crashes: 1, convictedIds: [2] });
  // A crash without a suspect is counted all the same.
  owner.countCrash(3);
  const third = openSession(path, owner.owner, 3);
  expect(third.recover()).toMatchObject({ crashes: 2, convictedIds: [2], earlierAttempts: 2 });
  third.suspect(batchId, 4);
  third.suspect(batchId, 5);
  owner.countCrash(3);
  const fourth = openSession(path, owner.owner, 3);
  expect(fourth.recover()).toMatchObject({ crashes: 3, convictedIds: [2, 5] });
});

test("taking a batch over clears its suspect: the next crash does not convict it", async () => {
  const { path, owner } = await filled(2);
  const batch = openSession(path, owner.owner).claim(limits(2));
  const second = openSession(path, owner.owner);
  second.suspect(batch?.batchId ?? "", 1);
  expect(second.recover()?.convictedIds).toEqual([]);
  owner.countCrash(0);
  expect(openSession(path, owner.owner).recover()?.convictedIds).toEqual([]);
});

test("a purge that was interrupted is finished, and the batch is not drained again", async () => {
  const { buffer, path, owner } = await filled(1_203);
  const batch = openSession(path, owner.owner).claim(limits(1_200));
  // As a kill between two steps of the purge leaves it: landed, its first 500 rows gone.
  const database = new Sqlite(path);
  database.transaction(() => {
    database.exec(
      "UPDATE claims SET state = 'landed', lo = 501; DELETE FROM payloads WHERE id <= 500",
    );
    const bytes = numbers(0, 500).join("").length;
    database.exec(`UPDATE progress SET purged_rows = 500, purged_bytes = ${bytes}`);
  })();
  database.close();
  expect(synced(path)).toEqual({ 0: 3, 1: 700 });

  const successor = openSession(path, owner.owner);
  expect(successor.openBatchIds()).toEqual([batch?.batchId]);
  expect(successor.recover()).toBeUndefined();
  expect(buffer.status()).toMatchObject({ rows: 3, purgedRows: 1_200, bytes: 12, pendingRows: 3 });
  expect(synced(path)).toEqual({ 0: 3 });
});

test("dead owners that hold nothing are forgotten", async () => {
  const { buffer, path, owner } = await filled(1);
  tamper(path, "INSERT INTO owners VALUES ('dead', 1, 'another boot', 0)");
  buffer.registerOwner();
  const database = new Sqlite(path, { readonly: true });
  onTestFinished(() => void database.close());
  const owners = database.prepare("SELECT owner FROM owners").pluck().all();
  expect(owners).toHaveLength(2);
  expect(owners).toContain(owner.owner);
});

test("threads and a second process claim at once without ever sharing a row", async () => {
  const buffer = await startBuffer();
  const total = 6_000;
  const { owner } = buffer.registerOwner();
  const { path } = buffer.options;
  const entry = new URL("../fixtures/drains-everything.ts", import.meta.url);
  const drained: number[][] = [];
  const threads = [0, 1, 2].map((worker) => {
    const thread = new Worker(entry, { workerData: { path, owner, worker, total } });
    thread.on("message", (batch: number[]) => drained.push(batch));
    return new Promise<number>((resolve, reject) => {
      thread.once("exit", resolve);
      thread.once("error", reject);
    });
  });
  const otherOwner = buffer.registerOwner().owner;
  const other = spawnFixture("drains-everything", path, otherOwner, "0", String(total));
  await appendInTurns(buffer, total);
  expect(await Promise.all([...threads, other.ended])).toEqual([0, 0, 0, 0]);
  drained.push(...other.lines.map((line) => JSON.parse(line) as number[]));
  const all = drained.flat().toSorted((a, b) => a - b);
  expect(all).toEqual(Array.from({ length: total }, (_, index) => index + 1));
  expect(buffer.status()).toMatchObject({ rows: 0, bytes: 0, purgedRows: total });
});

async function appendInTurns(buffer: DurableBuffer, total: number): Promise<void> {
  for (let n = 0; n < total; n += 100) await appendNumbers(buffer, n, n + 100);
}
