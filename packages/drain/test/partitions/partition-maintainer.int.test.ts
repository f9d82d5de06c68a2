import { waitFor } from "@millrace/core/testing";
import { migrate, postgres } from "@millrace/drain";
import { describe, expect, it } from "vitest";
import { numbers } from "../fixtures/telemetry.ts";
import {
  connection,
  insertTicks,
  maintenance,
  rowsByPartition,
  ticks,
  ticksDatabase,
} from "./maintained-table.ts";

const NOON = "2026-11-23T12:00:00Z";

describe("partitions", () => {
  it("are made ahead with the parent's indexes, and looking again changes nothing", async () => {
    const database = await ticksDatabase();
    const { maintain } = await maintenance(database.url);
    expect(await maintain(NOON)).toMatchObject({
      counts: { partitionsCreated: 4, maintenanceFailures: 0 },
      problems: [],
    });
    expect(await rowsByPartition(database)).toEqual({
      default: 0,
      p20261122: 0,
      p20261123: 0,
      p20261124: 0,
      p20261125: 0,
    });
    const indexes = await database.query<{ parts: number }>(
      `SELECT count(*)::int AS parts FROM pg_inherits
       JOIN pg_index ON indexrelid = inhparent WHERE indrelid = 'ticks'::regclass
       GROUP BY inhparent`,
    );
    expect(indexes).toEqual([{ parts: 5 }, { parts: 5 }]);
    expect((await maintain(NOON)).counts.partitionsCreated).toBe(0);
    expect((await maintain("2026-11-24T00:00:00Z")).counts.partitionsCreated).toBe(1);
  });

  it("of a month are made the same way", async () => {
    const table = ticks({ interval: "month" });
    const database = await ticksDatabase(table);
    await (await maintenance(database.url, table)).maintain("2026-12-31T12:00:00Z");
    await insertTicks(database, ["2026-12-31T23:59:59.999999Z", "2027-01-01T00:00:00Z"]);
    expect(await rowsByPartition(database)).toEqual({
      default: 0,
      p202611: 0,
      p202612: 1,
      p202701: 1,
    });
  });

  it("begin and end at midnight UTC whatever the server's time zone", async () => {
    const database = await ticksDatabase();
    const name = new URL(database.url).pathname.slice(1);
    await database.query(`ALTER DATABASE ${name} SET timezone = 'Pacific/Kiritimati'`);
    await database.query(`ALTER DATABASE ${name} SET datestyle = 'SQL, DMY'`);
    const { maintain } = await maintenance(database.url);
    await maintain(NOON);
    await insertTicks(database, ["2026-11-23T23:59:59.999999Z", "2026-11-24T00:00:00Z"]);
    expect(await rowsByPartition(database)).toMatchObject({ p20261123: 1, p20261124: 1 });
    expect((await maintain(NOON)).counts).toMatchObject({
      partitionsCreated: 0,
      maintenanceFailures: 0,
    });
  });

  it("take the rows of their range from the default partition, those ahead of time too, and no others", async () => {
    const database = await ticksDatabase();
    await insertTicks(database, [
      "1970-01-01",
      "2099-01-01",
      "2026-10-22T23:59:59Z",
      "2026-11-26",
      "2026-10-23",
      "2026-11-20T01:00:00Z",
      "2026-11-20T23:00:00Z",
      "2026-11-24T05:00:00Z",
    ]);
    const { maintain } = await maintenance(database.url);
    expect((await maintain(NOON)).counts).toMatchObject({
      partitionsCreated: 6,
      lateRowsMoved: 4,
      maintenanceFailures: 0,
    });
    expect(await rowsByPartition(database)).toEqual({
      default: 4,
      p20261023: 1,
      p20261120: 2,
      p20261122: 0,
      p20261123: 0,
      p20261124: 1,
      p20261125: 0,
    });
    expect((await maintain("2026-11-24T00:00:00Z")).counts.lateRowsMoved).toBe(1);
    expect(await rowsByPartition(database)).toMatchObject({ default: 3, p20261126: 1 });
  });

  it("take rows that were being written while the default partition was found empty", async () => {
    const database = await ticksDatabase();
    const { maintain } = await maintenance(database.url);
    const writer = await connection(database.url);
    await writer.query("BEGIN");
    await writer.query("INSERT INTO ticks VALUES ('2026-11-23', 1, now(), 'a')");
    const maintained = maintain(NOON);
    await waitFor(async () => {
      const waiting = await database.query(
        "SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted",
      );
      return waiting.length > 0;
    });
    await writer.query("COMMIT");
    await maintained;
    // The lock may have been given up before the writer had ended.
    expect((await maintain(NOON)).counts.maintenanceFailures).toBe(0);
    expect(await rowsByPartition(database)).toMatchObject({ default: 0, p20261123: 1 });
  });

  it("with columns that somebody has added keep what is in them", async () => {
    const database = await ticksDatabase();
    await database.query(
      `ALTER TABLE ticks ADD COLUMN twice integer GENERATED ALWAYS AS (number * 2) STORED,
         ADD COLUMN note text NOT NULL DEFAULT 'none', DROP COLUMN unknown_fields`,
    );
    await insertTicks(database, ["2026-11-23T05:00:00Z"]);
    await database.query("UPDATE ticks SET note = 'mine'");
    await (await maintenance(database.url)).maintain(NOON);
    expect(
      await database.query("SELECT tableoid::regclass::text AS name, twice, note FROM ticks"),
    ).toEqual([{ name: "ticks_p20261123", twice: 2, note: "mine" }]);
  });

  it("that are dropped, the default one too, are made again", async () => {
    const database = await ticksDatabase();
    const { maintain } = await maintenance(database.url);
    await maintain(NOON);
    await database.query("DROP TABLE ticks_p20261123");
    await insertTicks(database, ["2026-11-23T05:00:00Z"]);
    expect(await rowsByPartition(database)).toMatchObject({ default: 1 });
    expect((await maintain(NOON)).counts).toMatchObject({ partitionsCreated: 1, lateRowsMoved: 1 });
    await database.query("DROP TABLE ticks_default");
    expect((await maintain(NOON)).counts).toMatchObject({ partitionsCreated: 1 });
    await insertTicks(database, ["1970-01-01"]);
    expect(await rowsByPartition(database)).toMatchObject({ default: 1, p20261123: 1 });
  });

  it("made by two maintainers at once are made once", async () => {
    const database = await ticksDatabase();
    await insertTicks(database, ["2026-11-20T01:00:00Z", "2026-11-23T01:00:00Z"]);
    const both = await Promise.all(numbers(2).map(() => maintenance(database.url)));
    const reports = await Promise.all(both.map(({ maintain }) => maintain(NOON)));
    const last = await both[0]?.maintain(NOON);
    const totals = [...reports, ...(last === undefined ? [] : [last])].map(({ counts }) => counts);
    expect(totals.reduce((sum, { partitionsCreated }) => sum + partitionsCreated, 0)).toBe(5);
    expect(totals.reduce((sum, { lateRowsMoved }) => sum + lateRowsMoved, 0)).toBe(2);
    expect(totals.reduce((sum, { maintenanceFailures }) => sum + maintenanceFailures, 0)).toBe(0);
    expect(await rowsByPartition(database)).toMatchObject({ p20261120: 1, p20261123: 1 });
  });
});

describe("a lock that somebody else holds", () => {
  it.each([
    ["the parent", "LOCK TABLE ONLY ticks IN SHARE UPDATE EXCLUSIVE MODE"],
    ["the default partition", "LOCK TABLE ONLY ticks_default IN ACCESS SHARE MODE"],
  ])("on %s is not waited for, but tried again soon and not in an hour", async (_, lock) => {
    const database = await ticksDatabase();
    await insertTicks(database, ["2026-11-23T01:00:00Z"]);
    const { maintain, maintainer } = await maintenance(database.url);
    const holder = await connection(database.url);
    await holder.query("BEGIN");
    await holder.query(lock);
    const report = await maintain(NOON);
    expect(report.counts).toMatchObject({ partitionsCreated: 0, maintenanceFailures: 0 });
    expect(report.counts.maintenanceSkips).toBeGreaterThan(0);
    expect(await rowsByPartition(database)).toEqual({ default: 1 });
    expect(maintainer.nextPassInMs).toBeLessThanOrEqual(2_000);
    await holder.query("COMMIT");
    expect((await maintain(NOON)).counts).toMatchObject({ partitionsCreated: 4, lateRowsMoved: 1 });
    expect(maintainer.nextPassInMs).toBeGreaterThan(600_000);
  });

  it("does not keep retention from succeeding later", async () => {
    const table = ticks({ retain: "1 day" });
    const database = await ticksDatabase(table);
    const { maintain } = await maintenance(database.url, table);
    await maintain(NOON);
    const writer = await connection(database.url);
    await writer.query("BEGIN");
    await writer.query("INSERT INTO ticks VALUES ('2026-11-23', 1, now(), 'a')");
    const held = await maintain("2026-11-24T12:00:00Z");
    expect(held.counts).toMatchObject({ partitionsCreated: 1, partitionsDropped: 0 });
    expect(held.counts.maintenanceSkips).toBeGreaterThan(0);
    await writer.query("COMMIT");
    expect((await maintain("2026-11-24T12:00:00Z")).counts.partitionsDropped).toBe(1);
    expect(await rowsByPartition(database)).toMatchObject({ p20261123: 1 });
  });
});

describe("retention", () => {
  it("drops whole partitions that are too old, and nothing that is not a partition of ours", async () => {
    const table = ticks({ retain: "2 days" });
    const database = await ticksDatabase(table);
    const { maintain } = await maintenance(database.url);
    await maintain(NOON);
    await database.query(
      `CREATE TABLE ticks_history PARTITION OF ticks FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')`,
    );
    await database.query(
      `CREATE TABLE ticks_p20220101 PARTITION OF ticks FOR VALUES FROM ('2022-01-01') TO ('2022-01-03')`,
    );
    await database.query("CREATE TABLE ticks_p20261101 (LIKE ticks)");
    const days = ["2020-05-05", "2022-01-02", "2026-11-22", "2026-11-23", "2026-11-24"];
    await insertTicks(database, days);
    const keeper = await maintenance(database.url, table);
    const { counts } = await keeper.maintain("2026-11-25T00:00:00Z");
    expect(counts).toMatchObject({ partitionsDropped: 1, maintenanceFailures: 0 });
    expect(await rowsByPartition(database)).toEqual({
      default: 0,
      history: 1,
      p20220101: 1,
      p20261123: 1,
      p20261124: 1,
      p20261125: 0,
      p20261126: 0,
      p20261127: 0,
    });
    expect(await database.query("SELECT to_regclass('ticks_p20261101') AS name")).toEqual([
      { name: "ticks_p20261101" },
    ]);
  });

  it("deletes rows of the default partition by their arrival, however many, in steps", async () => {
    const table = ticks({ retain: "30 days" });
    const database = await ticksDatabase(table);
    const absurd = numbers(12_345).map((index) => (index % 2 === 0 ? "1970-01-01" : "2099-01-01"));
    await insertTicks(database, absurd, "2026-10-24T11:59:59Z");
    await insertTicks(database, ["1970-01-01", "2099-01-01"], "2026-10-24T12:00:00Z");
    const { maintain } = await maintenance(database.url, table);
    expect((await maintain(NOON)).counts).toMatchObject({ expiredRowsDeleted: 12_345 });
    expect(await rowsByPartition(database)).toMatchObject({ default: 2 });
  });
});

describe("a table that cannot be looked after", () => {
  it("since it exists unpartitioned is kept as it is, and migrating goes well", async () => {
    const plain = { ...ticks(), partitionBy: undefined };
    const database = await ticksDatabase(plain);
    await insertTicks(database, ["2026-11-23"]);
    const destination = postgres({ connectionString: database.url });
    expect(await migrate({ destination, schema: { tables: [ticks()], upserts: [] } })).toBe(true);
    const { maintain } = await maintenance(database.url);
    expect(await maintain(NOON)).toMatchObject({
      counts: { partitionsCreated: 0, maintenanceFailures: 0, maintenanceSkips: 0 },
      problems: [
        { table: "ticks", kind: "note", reason: expect.stringContaining("kept as it is") },
      ],
    });
    expect(await database.query("SELECT number FROM ticks")).toEqual([{ number: 1 }]);
  });

  it("since another table has a partition's name goes without that partition alone", async () => {
    const database = await ticksDatabase();
    await database.query("CREATE TABLE ticks_p20261124 (mine text)");
    const { maintain } = await maintenance(database.url);
    expect(await maintain(NOON)).toMatchObject({
      counts: { partitionsCreated: 3, maintenanceFailures: 0 },
      problems: [{ table: "ticks", kind: "note" }],
    });
    expect(await database.query("SELECT mine FROM ticks_p20261124")).toEqual([]);
  });

  it("since the role does not own it is reported, and tried again soon", async () => {
    const database = await ticksDatabase();
    const role = `reader_${process.pid}`;
    await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'reader'`);
    try {
      await database.query(`GRANT SELECT, INSERT ON ticks TO ${role}`);
      const url = new URL(database.url);
      url.username = role;
      url.password = "reader";
      const { maintain, maintainer } = await maintenance(url.href);
      const { counts, problems } = await maintain(NOON);
      expect(counts).toMatchObject({ partitionsCreated: 0 });
      expect(counts.maintenanceFailures).toBeGreaterThan(0);
      expect(problems[0]).toMatchObject({ kind: "failure" });
      expect(maintainer.nextPassInMs).toBeLessThanOrEqual(2_000);
    } finally {
      await database.query(`DROP OWNED BY ${role}`);
      await database.query(`DROP ROLE ${role}`);
    }
  });
});
