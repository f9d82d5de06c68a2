import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rangeOfName } from "../../src/partitions/partition-calendar.ts";
import {
  type ExistingPartition,
  lateRange,
  type PartitionedTable,
  planPartitions,
} from "../../src/partitions/partition-plan.ts";
import type { PartitionBy, Retention } from "../../src/schema/partition-by.ts";

const DAY_MS = 86_400_000;

function tableWith(partitionBy: Partial<PartitionBy>): PartitionedTable {
  return {
    name: "views",
    partitionBy: { column: "viewed_at", interval: "day", ...partitionBy },
  };
}

function namesToCreate(interval: "day" | "month", now: string): string[] {
  return planPartitions(tableWith({ interval }), [], [], new Date(now)).create.map(
    ({ name }) => name,
  );
}

/** Partitions of ours, by name. */
function existing(...names: string[]): ExistingPartition[] {
  return names.map((name) => {
    const range = rangeOfName("views", name);
    if (range === undefined) throw new Error(`${name} is no partition of views`);
    return { name, from: range.from, to: range.to };
  });
}

function droppedAt(retain: Retention | undefined, now: string, partitions: ExistingPartition[]) {
  const interval = partitions[0]?.name.length === "views_p202601".length ? "month" : "day";
  return planPartitions(tableWith({ interval, retain }), partitions, [], new Date(now)).drop;
}

describe("partitions of a day are made from yesterday to the day after tomorrow", () => {
  test.each([
    ["2026-11-23T12:00:00Z", ["20261122", "20261123", "20261124", "20261125"]],
    ["2026-11-29T23:59:59.999Z", ["20261128", "20261129", "20261130", "20261201"]],
    ["2026-11-30T00:00:00Z", ["20261129", "20261130", "20261201", "20261202"]],
    ["2026-12-31T12:00:00Z", ["20261230", "20261231", "20270101", "20270102"]],
    ["2027-01-01T00:00:00Z", ["20261231", "20270101", "20270102", "20270103"]],
    ["2028-02-27T12:00:00Z", ["20280226", "20280227", "20280228", "20280229"]],
    ["2027-02-27T12:00:00Z", ["20270226", "20270227", "20270228", "20270301"]],
    ["2100-02-28T12:00:00Z", ["21000227", "21000228", "21000301", "21000302"]],
  ])("at %s", (now, days) => {
    expect(namesToCreate("day", now)).toEqual(days.map((day) => `views_p${day}`));
  });
});

describe("partitions of a month are made from the last one to the next one", () => {
  test.each([
    ["2026-11-30T23:59:59.999Z", ["202610", "202611", "202612"]],
    ["2026-12-01T00:00:00Z", ["202611", "202612", "202701"]],
    ["2027-01-31T12:00:00Z", ["202612", "202701", "202702"]],
  ])("at %s", (now, months) => {
    expect(namesToCreate("month", now)).toEqual(months.map((month) => `views_p${month}`));
  });
});

describe("retention", () => {
  test.each<[Retention, string, string[]]>([
    ["2 days", "2026-11-23T23:59:59.999Z", []],
    ["2 days", "2026-11-24T00:00:00Z", ["views_p20261121"]],
    ["2 days", "2026-11-24T23:59:59.999Z", ["views_p20261121"]],
    ["1 week", "2026-11-29T00:00:00Z", ["views_p20261121"]],
    ["1 week", "2026-11-28T23:59:59.999Z", []],
    ["1 month", "2026-12-22T00:00:00Z", ["views_p20261121"]],
    ["1 month", "2026-12-21T23:59:59.999Z", []],
    ["1 year", "2027-11-22T00:00:00Z", ["views_p20261121"]],
    ["1 year", "2027-11-21T23:59:59.999Z", []],
    ["99999 years", "2027-11-21T23:59:59.999Z", []],
  ])("of %s at %s drops %j", (retain, now, names) => {
    expect(droppedAt(retain, now, existing("views_p20261121"))).toEqual(names);
  });

  test("of a month before the 31st reaches back to the end of a shorter month", () => {
    const partitions = existing("views_p20270227", "views_p20270228");
    expect(droppedAt("1 month", "2027-03-31T00:00:00Z", partitions)).toEqual(["views_p20270227"]);
    expect(droppedAt("1 month", "2027-03-31T00:00:00Z", existing("views_p202701"))).toEqual([
      "views_p202701",
    ]);
  });

  test("drops the oldest first, and nothing without being told to", () => {
    const partitions = existing("views_p20261121", "views_p20261119", "views_p20261120");
    expect(droppedAt(undefined, "2036-11-23T00:00:00Z", partitions)).toEqual([]);
    expect(droppedAt("1 day", "2026-11-22T12:00:00Z", partitions)).toEqual([
      "views_p20261119",
      "views_p20261120",
    ]);
  });

  test("leaves what is not named as ours, or holds more than its name says", () => {
    const [day] = existing("views_p20200101");
    if (day === undefined) throw new Error("no partition");
    const others: ExistingPartition[] = [
      { ...day, name: "views_historic" },
      { ...day, name: "views_p20200101_copy" },
      { ...day, name: "views_p20200132" },
      { ...day, name: "reviews_p20200101" },
      { ...day, name: "views_default" },
      { name: "views_p20200102", from: undefined, to: day.to },
      { name: "views_p20200103", from: day.from, to: undefined },
      { name: "views_p20200104", from: day.from, to: day.to },
    ];
    expect(droppedAt("1 day", "2026-11-23T00:00:00Z", others)).toEqual([]);
  });

  test("also drops what was made while the interval was another", () => {
    const partitions = existing("views_p20260131", "views_p202602", "views_p202603");
    const table = tableWith({ interval: "day", retain: "1 day" });
    expect(planPartitions(table, partitions, [], new Date("2026-03-05T00:00:00Z")).drop).toEqual([
      "views_p20260131",
      "views_p202602",
    ]);
  });
});

describe("a plan", () => {
  test("gives late rows partitions of their own, after those that are needed now", () => {
    const now = new Date("2026-11-23T12:00:00Z");
    const moments = ["2026-11-20", "2026-10-23", "2026-10-22", "1970-01-01", "2099-01-01"];
    const late = moments.map((day) => new Date(`${day}T11:22:33.456Z`));
    const names = planPartitions(tableWith({}), [], late, now).create.map(({ name }) => name);
    expect(names.slice(4)).toEqual(["views_p20261120", "views_p20261023"]);
  });

  test("gives no partition to late rows that are too old to be kept", () => {
    const now = new Date("2026-11-23T12:00:00Z");
    const late = ["2026-11-20", "2026-11-19"].map((day) => new Date(`${day}T00:00:00Z`));
    const table = tableWith({ retain: "3 days" });
    const names = planPartitions(table, [], late, now).create.map(({ name }) => name);
    expect(names.slice(4)).toEqual(["views_p20261120"]);
  });

  test("makes nothing where somebody's own partition is", () => {
    const now = new Date("2026-11-23T12:00:00Z");
    const own: ExistingPartition[] = [
      { name: "history", from: undefined, to: new Date("2026-11-23T00:00:00Z") },
      { name: "future", from: new Date("2026-11-25T12:00:00Z"), to: undefined },
    ];
    expect(planPartitions(tableWith({}), own, [], now).create.map(({ name }) => name)).toEqual([
      "views_p20261123",
      "views_p20261124",
    ]);
  });

  const moment = fc.date({
    min: new Date("1971-01-01T00:00:00Z"),
    max: new Date("2999-01-01T00:00:00Z"),
    noInvalidDate: true,
  });
  const anyTable = fc
    .record({
      interval: fc.constantFrom("day" as const, "month" as const),
      retain: fc.option(
        fc
          .tuple(fc.integer({ min: 1, max: 400 }), fc.constantFrom("day", "week", "month", "year"))
          .map(([count, unit]) => `${count} ${unit}s` as Retention),
        { nil: undefined },
      ),
    })
    .map(tableWith);
  const ages = fc.array(fc.integer({ min: -40 * DAY_MS, max: 500 * DAY_MS }), { maxLength: 20 });

  test("carried out leaves nothing to do, whatever the date and the late rows", () => {
    fc.assert(
      fc.property(anyTable, moment, ages, (table, now, lateAges) => {
        const late = lateAges.map((age) => new Date(now.getTime() - age));
        const { create } = planPartitions(table, [], late, now);
        const after = planPartitions(table, create, late, now);
        expect(after.create).toEqual([]);
        expect(after.drop).toEqual([]);
      }),
    );
  });

  test("makes partitions that do not overlap, that their names tell, and that cover now and two days more", () => {
    fc.assert(
      fc.property(anyTable, moment, ages, (table, now, lateAges) => {
        const late = lateAges.map((age) => new Date(now.getTime() - age));
        const { create } = planPartitions(table, [], late, now);
        const sorted = create.toSorted((left, right) => left.from.getTime() - right.from.getTime());
        for (const [index, { name, from, to }] of sorted.entries()) {
          expect(rangeOfName("views", name)).toEqual({ from, to });
          const next = sorted[index + 1];
          if (next !== undefined) expect(to <= next.from).toBe(true);
        }
        for (const ahead of [0, DAY_MS, 2 * DAY_MS]) {
          const at = new Date(now.getTime() + ahead);
          expect(create.filter(({ from, to }) => from <= at && at < to)).toHaveLength(1);
        }
        for (const at of late.filter((row) => row >= lateRange(table, now).from && row < now)) {
          const holding = create.filter(({ from, to }) => from <= at && at < to);
          const isKept = planPartitions(table, holding, [], now).drop;
          expect(isKept).toEqual([]);
        }
      }),
    );
  });

  test("of any two moments, carried out one after the other, drops only what is past its time", () => {
    fc.assert(
      fc.property(anyTable, moment, fc.integer({ min: 0, max: 900 }), (table, now, days) => {
        const { create } = planPartitions(table, [], [], now);
        const later = new Date(now.getTime() + days * DAY_MS);
        const { drop, expireReceivedBefore: cutoff } = planPartitions(table, create, [], later);
        expect(cutoff === undefined).toBe(table.partitionBy.retain === undefined);
        for (const { name, to } of create) {
          expect(drop.includes(name)).toBe(cutoff !== undefined && to <= cutoff);
        }
      }),
    );
  });
});

test("a name says its range, and no other name does", () => {
  expect(rangeOfName("views", "views_p20280229")).toEqual({
    from: new Date("2028-02-29T00:00:00Z"),
    to: new Date("2028-03-01T00:00:00Z"),
  });
  for (const name of ["views_p20270229", "views_p20261301", "views_p2026", "views_p202600"]) {
    expect(rangeOfName("views", name)).toBeUndefined();
  }
});
