import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type AuditReport, audit, postgres } from "@millrace/drain";
import { waitFor } from "@millrace/core/testing";
import { afterEach, describe, expect, it, vi } from "vitest";
import { emptyDatabase } from "../fixtures/empty-database.ts";
import { runPool, temporaryFolder } from "../fixtures/running-pool.ts";
import { smallSchema } from "../fixtures/small-schema.ts";
import { log, numbers, request } from "../fixtures/telemetry.ts";

const CLI = fileURLToPath(new URL("../../src/audit/cli/main.ts", import.meta.url));
const TEN = new Date("2026-11-23T10:00:00Z");
const ELEVEN = new Date("2026-11-23T11:00:00Z");
const TWELVE = new Date("2026-11-23T12:00:00Z");

afterEach(() => vi.useRealTimers());

/** What arrives from now on arrives at `moment`. */
function arriveAt(moment: Date, offsetMs = 0): void {
  vi.useFakeTimers({ toFake: ["Date"], now: moment.getTime() + offsetMs });
}

function differences({ hours }: AuditReport) {
  return hours.map(({ hour, isComplete, buffers, tables, deadLetters }) => ({
    hour: hour.toISOString().slice(11, 13),
    isComplete,
    unaccounted: buffers.map(({ unaccounted }) => unaccounted),
    missing: Object.fromEntries(
      tables.filter(({ missing }) => missing !== 0).map(({ table, missing }) => [table, missing]),
    ),
    deadLettersMissing: deadLetters.missing,
  }));
}

const complete = (hour: string) => ({
  hour,
  isComplete: true,
  unaccounted: [0],
  missing: {},
  deadLettersMissing: 0,
});

describe("an audit", () => {
  it("tells of each hour what landed, is dead, and is still in the buffer; rows that are gone or too many are found", async () => {
    const { url, query } = await emptyDatabase();
    const { append, drained, pool, buffer } = await runPool(
      { url, isIdle: true },
      { schema: smallSchema() },
    );
    arriveAt(ELEVEN, -1);
    await append([request(1), log("one")], [request(2), { t: "unheard-of" }], "no array");
    arriveAt(ELEVEN);
    await append([request(3), { t: "user", timestamp: 1_767_225_600, id: "7" }]);
    const range = { from: TEN, to: TWELVE };
    // Nothing has been made in the database yet: an audit makes nothing either.
    await expect(pool.audit(range)).rejects.toMatchObject({ code: "DRAIN_AUDIT_FAILED" });
    await pool.start();
    await drained();
    await pool.close();
    // One batch of two hours.
    expect(await query("SELECT payloads FROM millrace_ledger")).toEqual([{ payloads: 4 }]);

    await append([request(4)], [request(5)]);
    const clean = await pool.audit(range);
    expect(clean).toMatchObject({ isComplete: true, from: TEN, to: TWELVE });
    expect(clean.files).toMatchObject([{ bufferId: buffer.bufferId, droppedRows: 0, lostRows: 0 }]);
    const [ten, eleven] = clean.hours;
    expect(ten?.buffers).toMatchObject([{ accepted: 3, landed: 3, buffered: 0, unaccounted: 0 }]);
    expect(eleven?.buffers).toMatchObject([
      { accepted: 3, landed: 1, buffered: 2, unaccounted: 0 },
    ]);
    expect(ten?.deadLetters).toMatchObject({ written: 1, found: 1, foundPayloads: 1, missing: 0 });
    expect(ten?.tables).toEqual([
      { table: "millrace_events", landed: 1, found: 1, missing: 0 },
      { table: "nightwatch_logs", landed: 1, found: 1, missing: 0 },
      { table: "nightwatch_requests", landed: 2, found: 2, missing: 0 },
    ]);
    expect(eleven?.tables).toEqual([
      { table: "nightwatch_requests", landed: 1, found: 1, missing: 0 },
      // Merged: there is no row for each.
      { table: "nightwatch_users", landed: 1, found: undefined, missing: 0 },
    ]);
    expect((await pool.audit({ from: TWELVE, to: new Date(TWELVE.getTime() + 1) })).hours).toEqual(
      [],
    );

    await query("DELETE FROM nightwatch_requests WHERE trace_id = 'trace-2'");
    await query("DELETE FROM millrace_dead_letters");
    await query("INSERT INTO nightwatch_logs SELECT * FROM nightwatch_logs");
    expect(differences(await pool.audit(range))).toEqual([
      {
        hour: "10",
        isComplete: false,
        unaccounted: [0],
        missing: { nightwatch_requests: 1, nightwatch_logs: -1 },
        deadLettersMissing: 1,
      },
      complete("11"),
    ]);
    await query("DROP TABLE nightwatch_logs");
    expect(differences(await pool.audit(range))[0]?.missing).toMatchObject({ nightwatch_logs: 1 });
  });

  it("finds what a buffer has dropped, and does not know of a file that is not named", async () => {
    const { url } = await emptyDatabase();
    arriveAt(TEN);
    const first = await runPool({ url });
    await first.append(...numbers(3).map((index) => [request(index)]));
    await first.drained();
    await first.pool.close();
    await first.buffer.close();

    arriveAt(ELEVEN);
    const limits = { whenFull: "drop-oldest", maxRows: 10 } as const;
    const second = await runPool({ url, path: first.path, isIdle: true, buffer: limits });
    for (const index of numbers(14)) await second.append([request(10 + index)]);
    const { droppedRows } = second.buffer.status();
    expect(droppedRows).toBeGreaterThan(0);
    await second.pool.start();
    await waitFor(() => second.buffer.status().rows === 0);

    const range = { from: TEN, to: TWELVE };
    const report = await second.pool.audit(range);
    expect(report.isComplete).toBe(false);
    expect(report.files).toMatchObject([{ droppedRows, lostRows: 0 }]);
    const buffers = report.hours.flatMap((hour) => hour.buffers);
    // Between two hours: nobody knows any more when they came.
    expect(buffers).toMatchObject([
      { accepted: 3 + droppedRows, landed: 3, buffered: 0, unaccounted: droppedRows },
      { accepted: 14 - droppedRows, landed: 14 - droppedRows, buffered: 0, unaccounted: 0 },
    ]);
    const blind = await audit({
      destination: postgres({ connectionString: url }),
      schema: smallSchema(),
      ...range,
    });
    expect(blind.hours[0]?.buffers).toMatchObject([
      { buffered: undefined, unaccounted: droppedRows },
    ]);
  });

  it("is complete at every moment while batches land and letters are replayed and discarded", async () => {
    const { url, query } = await emptyDatabase();
    const { append, drained, pool } = await runPool({ url }, { workers: 2, batchRows: 20 });
    await append([request(0)]);
    await drained();
    await query(
      "ALTER TABLE nightwatch_requests ADD CONSTRAINT no_sevens CHECK (duration_us % 7 <> 0)",
    );
    let sent = 1;
    const reports: AuditReport[] = [];
    while (sent < 1_000) {
      await append(...numbers(50, sent).map((index) => [request(index)]));
      sent += 50;
      reports.push(await pool.audit());
    }
    await drained();
    reports.push(await pool.audit());
    const { letters } = await pool.deadLetters.list({ limit: 1_000 });
    expect(letters.length).toBeGreaterThan(100);
    await query("ALTER TABLE nightwatch_requests DROP CONSTRAINT no_sevens");
    await pool.deadLetters.discard({ ids: letters.slice(0, 9).map(({ id }) => id) });
    reports.push(await pool.audit());
    await pool.deadLetters.replay({ filter: {} });
    const last = await pool.audit();
    reports.push(last);
    expect(reports.flatMap(({ hours }) => hours.filter((hour) => !hour.isComplete))).toEqual([]);
    const total = (read: (hour: AuditReport["hours"][number]) => number) =>
      last.hours.reduce((sum, hour) => sum + read(hour), 0);
    expect(total(({ deadLetters }) => deadLetters.written)).toBe(letters.length);
    expect(total(({ deadLetters }) => deadLetters.discarded)).toBe(9);
    expect(total(({ deadLetters }) => deadLetters.replayed)).toBe(letters.length - 9);
    expect(total(({ tables }) => tables[0]?.found ?? 0)).toBe(sent - 9);
  });

  it("does not miss what retention has dropped", async () => {
    const { url, query } = await emptyDatabase();
    const schema = smallSchema();
    const retained = {
      ...schema,
      tables: schema.tables.map((table) => ({
        ...table,
        partitionBy: { column: "received_at", interval: "day", retain: "1 day" } as const,
      })),
    };
    const { append, drained } = await runPool({ url }, { schema });
    await append([request(1)]);
    await drained();
    await query("DELETE FROM nightwatch_requests");
    const lookAt = (ofSchema: typeof schema, hours: number) => {
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + hours * 3_600_000 });
      const from = new Date(Date.now() - 100 * 3_600_000);
      return audit({ destination: postgres({ connectionString: url }), schema: ofSchema, from });
    };
    expect(await lookAt(retained, 0)).toMatchObject({ isComplete: false });
    expect(await lookAt(schema, 26)).toMatchObject({ isComplete: false });
    expect(await lookAt(retained, 0)).toMatchObject({
      isComplete: true,
      hours: [{ tables: [{ table: "nightwatch_requests", landed: 1, found: undefined }] }],
    });
  });
});

it("millrace-audit says in words and by its exit code what is missing", async () => {
  const { url, query } = await emptyDatabase();
  const { append, drained, path } = await runPool({ url });
  await append([request(1)], [request(2)]);
  await drained();
  const schema = join(temporaryFolder(), "schema.js");
  writeFileSync(schema, `export const schema = ${JSON.stringify(smallSchema())};`);
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--conditions=@millrace/source", CLI, ...args],
      { encoding: "utf8", env: { ...process.env, MILLRACE_DATABASE_URL: url } },
    );
    return { code: status, out: stdout, error: stderr };
  };
  const given = ["--buffer", path, "--schema", schema];
  expect(run(...given)).toMatchObject({
    code: 0,
    error: "",
    out: expect.stringMatching(
      / 2 payloads: 2 landed with 2 records, 0 buffered; 0 dead letters, 0 discarded\neverything is accounted for\n$/,
    ),
  });
  await query("DELETE FROM nightwatch_requests WHERE trace_id = 'trace-1'");
  const { code, out } = run(...given);
  expect(code).toBe(1);
  expect(out).toContain("  nightwatch_requests: 2 landed, 1 found: 1 missing\nNOT everything");
  expect(JSON.parse(run(...given, "--json").out)).toMatchObject({ isComplete: false });
  expect(run("--from", "yesterday")).toMatchObject({
    code: 2,
    error: expect.stringContaining("--from is a moment"),
  });
});
