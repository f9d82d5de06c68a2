import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { createBuffer } from "../../src/buffer/buffer.ts";
import { openDatabase } from "../../src/buffer/database.ts";
import { createMemoryLogger, waitFor } from "../../src/testing.ts";
import { spawnFixture } from "../fixtures/spawn-fixture.ts";
import { fillDisk, smallDisk } from "./fixtures/small-disk.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";
import {
  appendNumbers,
  numbers,
  openSession,
  startBuffer,
  texts,
  WIDE,
} from "../fixtures/test-buffer.ts";

test("a second buffer of the same process is refused, and the first goes on", async () => {
  const first = await startBuffer();
  const second = createBuffer({ path: first.options.path, logger: createMemoryLogger() });
  await expect(second.start()).rejects.toMatchObject({
    code: "BUFFER_LOCKED",
    message: expect.stringContaining(first.options.path),
  });
  await first.append(Buffer.from("a"));
  await first.close();
  const third = await startBuffer({ path: first.options.path });
  expect(third.status().pendingRows).toBe(1);
});

test("a second process is refused until the first is killed, which leaves no lock", async () => {
  const path = join(temporaryFolder(), "buffer.db");
  const holder = spawnFixture("holds-buffer", path, "3");
  await waitFor(() => holder.lines.includes("ready"));
  await expect(startBuffer({ path })).rejects.toMatchObject({ code: "BUFFER_LOCKED" });
  holder.child.kill("SIGKILL");
  await holder.ended;
  const buffer = await startBuffer({ path });
  expect(buffer.status().pendingRows).toBe(3);
});

test("a start that fails lets go of the lock and leaves no thread or timer", async () => {
  const path = join(temporaryFolder(), "buffer.db");
  mkdirSync(path);
  await expect(startBuffer({ path })).rejects.toMatchObject({ code: "BUFFER_NOT_WRITABLE" });
  rmSync(path, { recursive: true });
  const buffer = await startBuffer({ path });
  await buffer.append(Buffer.from("a"));
});

test("the database of another program is refused and not changed in any way", async () => {
  const path = join(temporaryFolder(), "other.db");
  const other = new Sqlite(path);
  other.exec("CREATE TABLE theirs(a); INSERT INTO theirs VALUES (1)");
  other.close();
  const before = readFileSync(path);
  await expect(startBuffer({ path })).rejects.toMatchObject({
    code: "BUFFER_SCHEMA_UNKNOWN",
    message: expect.stringContaining("not a Millrace buffer"),
  });
  expect(readFileSync(path)).toEqual(before);
  expect(readdirSync(dirname(path)).toSorted()).toEqual(["other.db", "other.db.lock"]);
});

test("a buffer of a newer version is refused", async () => {
  const buffer = await startBuffer();
  await buffer.close();
  const database = new Sqlite(buffer.options.path);
  database.pragma("user_version = 99");
  database.exec("UPDATE meta SET value = '99' WHERE key = 'schema_version'");
  database.close();
  await expect(startBuffer({ path: buffer.options.path })).rejects.toMatchObject({
    code: "BUFFER_SCHEMA_UNKNOWN",
    message: expect.stringContaining("buffer schema 99"),
  });
});

test("a missing folder is created; a path below a file is refused", async () => {
  const folder = temporaryFolder();
  const buffer = await startBuffer({ path: join(folder, "a", "b", "buffer.db") });
  await buffer.append(Buffer.from("a"));
  writeFileSync(join(folder, "file"), "");
  await expect(startBuffer({ path: join(folder, "file", "buffer.db") })).rejects.toMatchObject({
    code: "BUFFER_NOT_WRITABLE",
  });
});

test("an empty file becomes a buffer that can give space back", async () => {
  const path = join(temporaryFolder(), "buffer.db");
  writeFileSync(path, "");
  const buffer = await startBuffer({ path });
  await buffer.append(Buffer.from("a"));
  const database = new Sqlite(path, { readonly: true });
  onTestFinished(() => void database.close());
  expect(database.pragma("auto_vacuum", { simple: true })).toBe(2);
  expect(database.pragma("page_size", { simple: true })).toBe(16_384);
  expect(database.pragma("journal_mode", { simple: true })).toBe("wal");
});

test.each([
  ["power", 2],
  ["process", 1],
] as const)("with durability %s SQLite's synchronous is %i", (durability, synchronous) => {
  const path = join(temporaryFolder(), "buffer.db");
  const database = openDatabase(path, { durability, create: true });
  onTestFinished(() => void database.close());
  expect(database.pragma("synchronous", { simple: true })).toBe(synchronous);
});

test("a claim session creates no file where there is no buffer", () => {
  const path = join(temporaryFolder(), "missing.db");
  expect(() => openSession(path, "owner")).toThrow(/unable to open/);
  expect(existsSync(path)).toBe(false);
});

test.each<[string, (path: string) => void, number, number]>([
  ["is not a database", (path) => writeFileSync(path, randomBytes(50_000)), 0, 0],
  ["lost its header", (path) => overwrite(path, 0, 100), 100, 0],
  ["lost its first page but for the header", (path) => overwrite(path, 100, 16_000), 100, 0],
  ["lost every page but the first", (path) => overwrite(path, 16_384, 600_000), 0, 0],
])("a file that %s is set aside, and a new one takes payloads", async (_, damage, kept, lost) => {
  const path = join(temporaryFolder(), "buffer.db");
  const before = await startBuffer({ path });
  await appendNumbers(before, 0, 100);
  await before.close();
  damage(path);
  const damaged = readFileSync(path);

  const buffer = await startBuffer({ path });
  await buffer.append(Buffer.from("new"));
  expect(buffer.status()).toMatchObject({ rows: kept + 1, lostRows: lost });
  expect(buffer.logger.lines).toMatchObject([{ level: "error", fields: { path } }]);
  const asideName = readdirSync(dirname(path)).find((name) => /\.corrupt-\d+$/.test(name));
  expect(readFileSync(join(dirname(path), asideName ?? ""))).toEqual(damaged);
});

function overwrite(path: string, from: number, bytes: number): void {
  const file = openSync(path, "r+");
  writeSync(
    file,
    Buffer.alloc(Math.min(bytes, statSync(path).size - from), 0xa5),
    0,
    undefined,
    from,
  );
  closeSync(file);
}

test("a read-only disk is refused at start", async () => {
  const { folder, remount } = smallDisk(2);
  const path = join(folder, "buffer.db");
  const before = await startBuffer({ path });
  await before.append(Buffer.from("a"));
  await before.close();
  remount("ro");
  await expect(startBuffer({ path })).rejects.toMatchObject({
    code: "BUFFER_NOT_WRITABLE",
    message: expect.stringContaining(path),
  });
  await expect(startBuffer({ path: join(folder, "new", "buffer.db") })).rejects.toMatchObject({
    code: "BUFFER_NOT_WRITABLE",
  });
  remount("rw");
  const after = await startBuffer({ path });
  expect(after.status().pendingRows).toBe(1);
});

test("a full disk is refused at start", async () => {
  const { folder } = smallDisk(2);
  fillDisk(join(folder, "ballast"));
  await expect(startBuffer({ path: join(folder, "buffer.db") })).rejects.toMatchObject({
    code: "BUFFER_NOT_WRITABLE",
    message: expect.stringMatching(/free space/),
  });
});

test("closing twice, and everything is let go: the file can be opened by someone else", async () => {
  const buffer = await startBuffer();
  await appendNumbers(buffer, 0, 3);
  await Promise.all([buffer.close(), buffer.close()]);
  // A clean close leaves everything in the one file.
  expect(readdirSync(dirname(buffer.options.path)).toSorted()).toEqual([
    "buffer.db",
    "buffer.db.lock",
    "buffer.db.reserve",
  ]);
  const again = await startBuffer({ path: buffer.options.path });
  const session = openSession(again.options.path, again.registerOwner().owner);
  expect(texts(session.claim(WIDE))).toEqual(numbers(0, 3));
});
