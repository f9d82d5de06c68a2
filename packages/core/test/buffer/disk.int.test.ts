import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openBufferFile } from "../../src/buffer/buffer-file.ts";
import { bufferOptionsSchema } from "../../src/buffer/buffer-options.ts";
import type { ClaimSession } from "../../src/buffer/claims.ts";
import { GroupCommit } from "../../src/buffer/group-commit.ts";
import { waitFor } from "../../src/testing.ts";
import { openSession, startBuffer, texts, WIDE } from "../fixtures/test-buffer.ts";
import { fillDisk, smallDisk } from "./fixtures/small-disk.ts";

const MIB = 1024 * 1024;

test("a disk that fills up refuses payloads, loses none, and recovers by itself", async () => {
  const { folder } = smallDisk(2);
  const buffer = await startBuffer({ path: join(folder, "buffer.db"), groupMaxRows: 5 });
  const acknowledged: string[] = [];
  const failures: unknown[] = [];
  let next = 0;
  const appendNext = async () => {
    const text = `${next++}:`.padEnd(10_000, "x");
    try {
      await buffer.append(Buffer.from(text));
      acknowledged.push(text);
    } catch (error) {
      failures.push(error);
    }
  };
  await appendNext();
  fillDisk(join(folder, "ballast"), 1024 * 1024);
  while (failures.length < 20) {
    await Promise.all(Array.from({ length: 20 }, appendNext));
  }
  expect(failures.at(-1)).toMatchObject({ code: "BUFFER_DISK_LOW", retryable: true });
  expect(buffer.state).toBe("running");
  expect(buffer.health()).toEqual({ healthy: false, reason: "disk low" });
  expect(buffer.status()).toMatchObject({ diskLowRows: failures.length, failedRows: 0 });

  rmSync(join(folder, "ballast"));
  // Nobody appends: behind a load balancer an unhealthy agent gets nothing to append.
  await waitFor(() => {
    return buffer.health().healthy;
  });
  await appendNext();
  expect(acknowledged.at(-1)).toMatch(new RegExp(`^${next - 1}:`));
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  expect(texts(session.claim(WIDE))).toEqual(acknowledged);
  expect(buffer.status().rows).toBe(acknowledged.length);
});

test("a disk with nothing left still lets landed batches go, and takes payloads again by itself", async () => {
  const { folder } = smallDisk(24);
  const buffer = await startBuffer({ path: join(folder, "buffer.db") });
  const reservePath = join(folder, "buffer.db.reserve");
  const reserveBytes = statSync(reservePath).size;
  expect(reserveBytes).toBe(3 * MIB);
  let stored = 0;
  for (let isFull = false; !isFull;) {
    const appends = Array.from({ length: 50 }, () => buffer.append(Buffer.alloc(2_000, "x")));
    const results = await Promise.allSettled(appends);
    stored += results.filter(({ status }) => status === "fulfilled").length;
    isFull = results.some(({ status }) => status === "rejected");
  }
  await waitFor(() => statSync(`${buffer.options.path}-wal`).size === 0);
  // Something else takes whatever the buffer left.
  fillDisk(join(folder, "ballast"));
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  // A full WAL is no reason to give up: the drain tries again, and maintenance makes room in it.
  await waitFor(() => drain(session), { timeoutMs: 20_000 });
  expect(buffer.status()).toMatchObject({ rows: 0, purgedRows: stored });

  // What the file itself gives back is enough to go on with.
  await waitFor(() => statSync(reservePath).size === reserveBytes);
  await waitFor(() => buffer.hasRoom());
  await buffer.append(Buffer.from("new"));
  expect(texts(session.claim(WIDE))).toEqual(["new"]);
});

/** Settles everything. @throws when there is no space even for that. */
function drain(session: ClaimSession): boolean {
  for (;;) {
    const batch = session.recover() ?? session.claim({ ...WIDE, maxRows: 700 });
    if (batch === undefined) return true;
    session.settle(batch.batchId);
  }
}

test("a commit that fails for want of space is refused whole, and a later one succeeds", async () => {
  const { folder } = smallDisk(2);
  const path = join(folder, "buffer.db");
  const { database } = openBufferFile(path, { durability: "process" });
  onTestFinished(() => void database.close());
  const group = new GroupCommit(database, bufferOptionsSchema.parse({ path }));
  await group.append(Buffer.from("a"), "token");
  fillDisk(join(folder, "ballast"));
  const appends = [Buffer.alloc(400_000), Buffer.from("b")].map((payload) =>
    group.append(payload, "token"),
  );
  for (const result of await Promise.allSettled(appends)) {
    expect(result).toMatchObject({ status: "rejected", reason: { code: "SQLITE_FULL" } });
  }
  expect(group.failure).toBeDefined();
  expect(group.progress.appended_rows).toBe(1);
  rmSync(join(folder, "ballast"));
  group.probe();
  expect(group.failure).toBeUndefined();
  await group.append(Buffer.from("b"), "token");
  expect(group.counters).toMatchObject({ failedRows: 2, rows: 2 });
});

test("below minFreeBytes payloads are refused before the disk is full, until there is space again", async () => {
  const { folder } = smallDisk(24);
  const ballast = join(folder, "ballast");
  fillDisk(ballast, 8 * MIB);
  const buffer = await startBuffer({ path: join(folder, "buffer.db"), minFreeBytes: 10 * MIB });
  await expect(buffer.append(Buffer.from("a"))).rejects.toMatchObject({
    code: "BUFFER_DISK_LOW",
    retryable: true,
    details: { minFreeBytes: 10 * MIB },
  });
  expect(buffer.health()).toEqual({ healthy: false, reason: "disk low" });
  expect(buffer.utilisation()).toBe(1);
  expect(buffer.status()).toMatchObject({ diskLowRows: 1, rejectedRows: 0, failedRows: 0 });
  expect(buffer.status().freeBytes).toBeLessThan(10 * MIB);
  expect(await buffer.options.metrics?.metrics()).toMatch(
    /^millrace_buffer_refused_rows_total\{reason="disk_low"\} 1$/m,
  );
  rmSync(ballast);
  await waitFor(() => buffer.health().healthy);
  await buffer.append(Buffer.from("a"));
  fillDisk(ballast, 8 * MIB);
  await waitFor(() => !buffer.hasRoom());
  expect(buffer.status().rows).toBe(1);
});

test("with block, what comes while the disk is low waits until there is space", async () => {
  const { folder } = smallDisk(24);
  const ballast = join(folder, "ballast");
  fillDisk(ballast, 8 * MIB);
  const path = join(folder, "buffer.db");
  const buffer = await startBuffer({ path, minFreeBytes: 10 * MIB, whenFull: "block" });
  const waiting = buffer.append(Buffer.from("a"));
  rmSync(ballast);
  await waiting;
  expect(buffer.status()).toMatchObject({ rows: 1, diskLowRows: 0 });
});
