import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { check } from "../../src/buffer/cli/check.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";
import { appendNumbers, openSession, startBuffer, texts, WIDE } from "../fixtures/test-buffer.ts";
import { damageAt } from "./fixtures/damage.ts";

const ENTRY = fileURLToPath(new URL("../../src/buffer/cli/main.ts", import.meta.url));

function run(...values: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...process.execArgv, "--conditions=@millrace/source", ENTRY, ...values],
    { encoding: "utf8" },
  );
  return { code: status, out: stdout, error: stderr };
}

/** A closed file: 4 payloads claimed by a process that is gone, 6 pending. */
async function closedFile() {
  const buffer = await startBuffer();
  await appendNumbers(buffer, 0, 9);
  await buffer.append(Buffer.from([0xff, 0, 0xfe]), "binary");
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  const batch = session.claim({ ...WIDE, maxRows: 4 });
  session.close();
  await buffer.close();
  const database = new Sqlite(buffer.options.path);
  database.exec("DELETE FROM owners");
  database.close();
  return { path: buffer.options.path, batchId: batch?.batchId ?? "" };
}

test("--help tells how to use it; anything it does not know ends with 2", () => {
  expect(run("--help")).toMatchObject({ code: 0, out: expect.stringContaining("requeue FILE") });
  for (const wrong of [["check"], ["mend", "a"], ["check", "a", "--x"]]) {
    expect(run(...wrong)).toMatchObject({ code: 2, out: "" });
  }
  expect(run("check", join(temporaryFolder(), "missing.db"))).toMatchObject({
    code: 2,
    error: expect.stringContaining("there is no file"),
  });
});

test("check tells what is in a file, also beside a running buffer", async () => {
  const buffer = await startBuffer();
  await appendNumbers(buffer, 0, 10);
  const session = openSession(buffer.options.path, buffer.registerOwner().owner);
  const batch = session.claim({ ...WIDE, maxRows: 4 });
  const { code, out } = run("check", buffer.options.path, "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    bufferId: buffer.bufferId,
    changedRows: 0,
    status: { pendingRows: 6, claimedRows: 4, appendedRows: 10 },
    claims: [{ batchId: batch?.batchId, state: "claimed", rows: 4, isOwnerDead: false }],
  });
  await buffer.append(Buffer.from("it goes on"));
  const text = run("check", buffer.options.path).out;
  expect(text).toContain("sound");
  expect(text).toContain("pending 7");
  expect(text).toContain(`batch ${batch?.batchId}: claimed by worker 0, 4 payloads`);
});

test("export writes payloads as lines or as frames, all or only the pending ones", async () => {
  const { path, batchId } = await closedFile();
  const all = run("export", path);
  const lines = all.out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(all.code).toBe(0);
  expect(lines).toHaveLength(10);
  expect(lines[0]).toMatchObject({ id: 1, state: "claimed", batchId, token: "default" });
  expect(lines[0]).toMatchObject({ encoding: "utf8", payload: "0" });
  expect(lines[9]).toMatchObject({ token: "binary", encoding: "base64", payload: "/wD+" });
  const pending = run("export", path, "--pending-only").out.trimEnd().split("\n");
  expect(pending).toHaveLength(6);
  const frames = run("export", path, "--format", "frames", "--token-hash", "abcdef0");
  expect(frames.out.startsWith("12:v1:abcdef0:012:v1:abcdef0:1")).toBe(true);
  expect(run("export", path, "--format", "xml").code).toBe(2);
});

test("repair leaves a sound file alone, salvages a damaged one, and check sees the difference", async () => {
  const { path, batchId } = await closedFile();
  expect(run("repair", path)).toMatchObject({
    code: 0,
    out: expect.stringContaining("nothing to repair"),
  });
  damageAt(path, 0, 100, (header) => void header.fill(7), 0);
  expect(run("check", path)).toMatchObject({ code: 1, out: expect.stringContaining("DAMAGED") });
  const repaired = run("repair", path, "--json");
  expect(repaired.code).toBe(0);
  expect(JSON.parse(repaired.out)).toMatchObject({ recoveredRows: 10, lostRows: 0 });
  expect(check(path)).toMatchObject({
    damage: undefined,
    status: { pendingRows: 6, claimedRows: 4 },
    claims: [{ batchId, isOwnerDead: true }],
  });
});

test("requeue warns, and when forced makes a dead process's claims pending under new ids", async () => {
  const { path, batchId } = await closedFile();
  const refused = run("requeue", path);
  expect(refused).toMatchObject({ code: 2, error: expect.stringContaining("land twice") });
  expect(check(path).status).toMatchObject({ claimedRows: 4 });
  const done = run("requeue", path, "--force", "--json");
  expect(JSON.parse(done.out)).toEqual([{ batchId, rows: 4 }]);
  expect(check(path)).toMatchObject({
    damage: undefined,
    claims: [],
    status: { appendedRows: 10, pendingRows: 10, claimedRows: 0 },
  });
  const buffer = await startBuffer({ path });
  const session = openSession(path, buffer.registerOwner().owner);
  const batch = session.claim(WIDE);
  expect(texts(batch).toSorted().slice(0, 9)).toEqual([
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
  ]);
  expect(batch?.payloads.map(({ id }) => id)).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  session.settle(batch?.batchId ?? "");
  expect(buffer.status()).toMatchObject({ rows: 0, bytes: 0, appendedRows: 10, purgedRows: 10 });
});

test("repair and requeue are refused while a process has the buffer", async () => {
  const buffer = await startBuffer();
  const { path } = buffer.options;
  for (const command of ["repair", "requeue"]) {
    expect(run(command, path, "--force")).toMatchObject({
      code: 2,
      error: expect.stringContaining("in use by another process"),
    });
  }
});
