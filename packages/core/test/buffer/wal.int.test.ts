import { statSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { openBufferFile } from "../../src/buffer/buffer-file.ts";
import { bufferOptionsSchema } from "../../src/buffer/buffer-options.ts";
import { GroupCommit } from "../../src/buffer/group-commit.ts";
import { waitFor } from "../../src/testing.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";
import { openSession, startBuffer, WIDE } from "../fixtures/test-buffer.ts";
import { copyImage } from "./fixtures/buffer-image.ts";

const MIB = 1024 * 1024;

test("a reader that holds the WAL open stops appends at maxWalBytes, and only until it ends", async () => {
  const buffer = await startBuffer({ maxWalBytes: 24 * MIB });
  const { path } = buffer.options;
  await buffer.append(Buffer.from("first"));
  const reader = new Sqlite(path, { readonly: true });
  onTestFinished(() => void reader.close());
  reader.exec("BEGIN");
  reader.prepare("SELECT count(*) FROM payloads").get();

  let failure: unknown;
  await waitFor(
    async () => {
      const appends = Array.from({ length: 20 }, () => buffer.append(Buffer.alloc(20_000)));
      const results = await Promise.allSettled(appends);
      failure = results.find((result) => result.status === "rejected")?.reason;
      return failure !== undefined;
    },
    { intervalMs: 1 },
  );
  expect(failure).toMatchObject({ code: "BUFFER_FULL", details: { reason: "wal" } });
  expect(buffer.status().walRejectedRows).toBeGreaterThan(0);
  expect(buffer.health()).toEqual({ healthy: false, reason: "WAL too large" });
  // What makes room goes on.
  const session = openSession(path, buffer.registerOwner().owner);
  session.settle(session.claim(WIDE)?.batchId ?? "");
  expect(buffer.status().rows).toBe(0);

  reader.exec("COMMIT");
  await waitFor(() => buffer.health().healthy);
  await buffer.append(Buffer.from("again"));
  expect(statSync(`${path}-wal`).size).toBeLessThan(24 * MIB);
});

test("a large WAL that a killed process left is made small before the buffer starts", async () => {
  const folder = temporaryFolder();
  const source = join(folder, "source.db");
  const { database } = openBufferFile(source, { durability: "process" });
  onTestFinished(() => void database.close());
  const group = new GroupCommit(database, bufferOptionsSchema.parse({ path: source }));
  for (let round = 0; round < 40; round++) {
    const appends = Array.from({ length: 50 }, () => group.append(Buffer.alloc(20_000), "a"));
    group.flush();
    await Promise.all(appends);
  }
  const path = join(folder, "buffer.db");
  copyImage(source, path);
  expect(statSync(`${path}-wal`).size).toBeGreaterThan(40 * MIB);
  const buffer = await startBuffer({ path });
  expect(statSync(`${path}-wal`).size).toBeLessThan(1 * MIB);
  expect(buffer.status().rows).toBe(2_000);
});

test("a claim session keeps no read transaction open between its calls", async () => {
  const buffer = await startBuffer();
  const { path } = buffer.options;
  await Promise.all(Array.from({ length: 500 }, () => buffer.append(Buffer.alloc(2_000))));
  const session = openSession(path, buffer.registerOwner().owner);
  session.pending();
  const batch = session.claim({ ...WIDE, maxRows: 10 });
  session.recover();
  session.openBatchIds();
  session.suspect(batch?.batchId ?? "", 1);
  const other = new Sqlite(path);
  onTestFinished(() => void other.close());
  other.pragma("busy_timeout = 2000");
  expect(other.pragma("wal_checkpoint(TRUNCATE)")).toMatchObject([{ busy: 0 }]);
});
