import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Sqlite, { type Database } from "better-sqlite3";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { isSqliteError } from "../../src/buffer/database.ts";
import { WriteTurns } from "../../src/buffer/write-turns.ts";

let folder: string;
let first: Database;
let second: Database;

beforeEach(() => {
  // Wishes last 20 ms of this clock, and waiting for the lock 5 s.
  vi.useFakeTimers({ toFake: ["Date", "performance"] });
  folder = mkdtempSync(join(tmpdir(), "millrace-turns-"));
  const path = join(folder, "turns.db");
  first = new Sqlite(path, { timeout: 0 });
  second = new Sqlite(path, { timeout: 0 });
  first.exec("PRAGMA journal_mode = WAL; CREATE TABLE numbers(number)");
});

afterEach(() => {
  vi.useRealTimers();
  first.close();
  second.close();
  rmSync(folder, { recursive: true });
});

/** A transaction on the second handle; the first lets go of its lock before the given try. */
function transaction(freeBefore: number): () => string {
  let tries = 0;
  return () => {
    if (++tries === freeBefore) first.exec("COMMIT");
    second.exec("BEGIN IMMEDIATE; INSERT INTO numbers VALUES (1); COMMIT");
    return `written at try ${tries}`;
  };
}

test("a thread waits for a lock that another holds, and then it writes", () => {
  first.exec("BEGIN IMMEDIATE");
  expect(new WriteTurns().take(transaction(4))).toBe("written at try 4");
});

test("what isn't a lock in the way is thrown as it is, once", () => {
  let tries = 0;
  const broken = () => {
    tries++;
    second.exec("INSERT INTO letters VALUES (1)");
  };
  expect(() => new WriteTurns().take(broken)).toThrow("no such table: letters");
  expect(tries).toBe(1);
});

test("the appender gives way only to threads that found the lock taken after it had written", () => {
  const turns = new WriteTurns();
  expect(turns.isThreadsTurn).toBe(false);
  turns.appenderHasWritten();
  expect(turns.isThreadsTurn).toBe(false);
  first.exec("BEGIN IMMEDIATE");
  const seen: boolean[] = [];
  const write = transaction(2);
  turns.take(() => {
    seen.push(turns.isThreadsTurn);
    return write();
  });
  expect(seen).toEqual([false, true]);
  expect(turns.isThreadsTurn).toBe(false);
});

test("a thread that has written last lets the appender go first, and doesn't wait for a dead one", () => {
  const turns = new WriteTurns();
  turns.take(transaction(0));
  turns.appenderWants();
  // Nobody writes in between: after a while it goes on.
  expect(turns.take(transaction(0))).toBe("written at try 1");
});

test("the wish of a thread that died is void after a while, and when the clock was set back", () => {
  const turns = new WriteTurns();
  turns.appenderHasWritten();
  first.exec("BEGIN IMMEDIATE");
  let tries = 0;
  const dies = () => {
    if (++tries === 2) throw new Error("killed");
    second.exec("BEGIN IMMEDIATE");
  };
  expect(() => turns.take(dies)).toThrow("killed");
  expect(turns.isThreadsTurn).toBe(true);
  vi.setSystemTime(Date.now() - 60_000);
  expect(turns.isThreadsTurn).toBe(false);
  vi.setSystemTime(Date.now() + 60_020);
  expect(turns.isThreadsTurn).toBe(false);
});

test("both sides may share the memory from different threads", () => {
  const appender = new WriteTurns();
  const thread = new WriteTurns(appender.memory);
  appender.appenderHasWritten();
  first.exec("BEGIN IMMEDIATE");
  const write = transaction(2);
  const seen: boolean[] = [];
  thread.take(() => {
    seen.push(appender.isThreadsTurn);
    return write();
  });
  expect(seen).toEqual([false, true]);
});

test("SQLite's own error says that a lock was never free", () => {
  first.exec("BEGIN IMMEDIATE");
  let error: unknown;
  const tryLater = () => {
    vi.advanceTimersByTime(2_000);
    second.exec("BEGIN IMMEDIATE");
  };
  try {
    new WriteTurns().take(tryLater);
  } catch (thrown) {
    error = thrown;
  }
  expect(isSqliteError(error, "SQLITE_BUSY")).toBe(true);
});
