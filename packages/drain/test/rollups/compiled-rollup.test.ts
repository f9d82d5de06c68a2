import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RecordRefused } from "../../src/encode/record-refused.ts";
import { compileRollup } from "../../src/rollups/compiled-rollup.ts";
import { defineRollup, type RollupOptions } from "../../src/rollups/rollup.ts";
import { text } from "../../src/schema/columns.ts";
import { defineUpsert } from "../../src/schema/upsert.ts";
import { compileUpserts } from "../../src/upsert/compiled-upserts.ts";
import { sketchOf } from "./reference-sketch.ts";

/** 2026-11-23 12:00:00 */
const NOON = 1_795_435_200;
const meta = { receivedAt: NOON * 1_000, token: "web" };
const options: RollupOptions = {
  match: { t: "view" },
  key: { page: text("page") },
  occurredAt: "timestamp",
  duration: "duration",
  errors: { field: "status", atLeast: 500 },
  latest: { title: text("title") },
};

function rowsOf(
  records: Array<Record<string, unknown>>,
  overrides: Partial<RollupOptions> = {},
  at = meta,
) {
  const group = compileRollup(defineRollup("views", { ...options, ...overrides })).createGroup();
  for (const record of records) group.collect({ t: "view", ...record }, at);
  return group.statements().flatMap(({ values }) => {
    const count = values[0]?.length ?? 0;
    return Array.from({ length: count }, (_, row) => values.map((column) => column[row] ?? null));
  });
}

describe("collecting", () => {
  test("counts, adds up and sketches per minute and per hour", () => {
    const rows = rowsOf([
      { timestamp: NOON + 1, page: "/", duration: 10, status: 200, title: "one" },
      { timestamp: NOON + 59.9999999, page: "/", duration: 500, status: 503, title: "next minute" },
      { timestamp: NOON + 2, page: "/", duration: null, status: 500, title: "two" },
    ]);
    const [noon, later] = ["2026-11-23 12:00:00.000000+00", "2026-11-23 12:01:00.000000+00"];
    const [moment2, moment60] = ["2026-11-23 12:00:02.000000+00", later];
    expect(rows).toEqual([
      ["60", noon, "web", "/", "2", "1", "1", "10", "10", "10", sketchOf([10]), moment2, "two"],
      [
        "60",
        later,
        "web",
        "/",
        "1",
        "1",
        "1",
        "500",
        "500",
        "500",
        sketchOf([500]),
        moment60,
        "next minute",
      ],
      [
        "3600",
        noon,
        "web",
        "/",
        "3",
        "2",
        "2",
        "510",
        "10",
        "500",
        sketchOf([10, 500]),
        moment60,
        "next minute",
      ],
    ]);
  });

  test("counts records without a key under the empty one", () => {
    const rows = rowsOf([
      { timestamp: NOON, page: null },
      { timestamp: NOON },
      { timestamp: NOON, page: "" },
    ]);
    expect(rows.map((row) => row.slice(2, 5))).toEqual([
      ["web", "", "3"],
      ["web", "", "3"],
    ]);
  });

  test("without a duration or errors has no columns for them", () => {
    const { duration: _, errors: __, ...plain } = options;
    const group = compileRollup(defineRollup("views", plain)).createGroup();
    group.collect({ t: "view", timestamp: NOON, page: "/", title: null }, meta);
    const [statement] = group.statements();
    expect(statement?.values.map((column) => column[0])).toEqual([
      "60",
      "2026-11-23 12:00:00.000000+00",
      "web",
      "/",
      "1",
      "2026-11-23 12:00:00.000000+00",
      null,
    ]);
    expect(statement?.text).not.toMatch(/duration|sketch|errors/);
  });

  test("sums exactly what no double can hold", () => {
    const durations = Array.from({ length: 5 }, () => Number.MAX_SAFE_INTEGER);
    const rows = rowsOf(durations.map((duration) => ({ timestamp: NOON, page: "/", duration })));
    expect(rows[0]?.[7]).toBe(String(5n * BigInt(Number.MAX_SAFE_INTEGER)));
  });

  test.each([
    ["at least", { field: "status", atLeast: 500 }, [499, 500, "500", null], 1],
    ["a text", { field: "status", equals: "failed" }, ["failed", "Failed", true], 1],
    ["false", { field: "status", equals: false }, [false, 0, null, undefined, true], 1],
  ] as const)("counts errors: %s", (_, errors, statuses, count) => {
    const rows = rowsOf(
      statuses.map((status) => ({ timestamp: NOON, page: "/", status })),
      { errors },
    );
    expect(rows[0]?.[5]).toBe(String(count));
  });

  test("a record that is refused changes nothing", () => {
    const group = compileRollup(defineRollup("views", options)).createGroup();
    group.collect({ t: "view", timestamp: NOON, page: "/", duration: 5 }, meta);
    const before = group.statements();
    for (const wrong of [{ timestamp: "1" }, { page: 5 }, { duration: 1.5 }, { title: "\0" }]) {
      const record = { t: "view", timestamp: NOON, page: "/", duration: 5, ...wrong };
      expect(() => group.collect(record, meta)).toThrow(RecordRefused);
    }
    expect(group.statements()).toEqual(before);
  });

  test("finds what a plain count finds, in every interval", () => {
    const record = fc.record({
      timestamp: fc.integer({ min: NOON - 7_200, max: NOON }),
      page: fc.constantFrom("a", "b", "\u{1F389}", "\uFFFD"),
      duration: fc.integer({ min: 0, max: 1e9 }),
      status: fc.constantFrom(200, 500),
    });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 60 }), (records) => {
        const expected = [60, 3_600].flatMap((seconds) => {
          const groups = Map.groupBy(
            records,
            ({ timestamp, page }) => `${seconds} ${timestamp - (timestamp % seconds)} ${page}`,
          );
          return [...groups].map(([key, own]) => [
            key,
            own.length,
            own.filter(({ status }) => status === 500).length,
            own.reduce((sum, { duration }) => sum + duration, 0),
            sketchOf(own.map(({ duration }) => duration)),
          ]);
        });
        const actual = rowsOf(records).map((row) => [
          `${row[0]} ${Date.parse(String(row[1]).replace("+00", "Z")) / 1_000} ${row[3]}`,
          Number(row[4]),
          Number(row[5]),
          Number(row[7]),
          row[10],
        ]);
        const byKey = (left: unknown[], right: unknown[]) =>
          String(left[0]) < String(right[0]) ? -1 : 1;
        expect(actual.toSorted(byKey)).toEqual(expected.toSorted(byKey));
      }),
    );
  });
});

describe("the window of time", () => {
  const DAY = 86_400;

  test("leaves out more than a year before arrival and more than a day after it", () => {
    const counted = (timestamp: number) => rowsOf([{ timestamp, page: "/" }]).length;
    expect(counted(NOON - 365 * DAY)).toBe(2);
    expect(counted(NOON - 366 * DAY)).toBe(0);
    expect(counted(NOON + DAY)).toBe(2);
    expect(counted(NOON + DAY + 3_600)).toBe(0);
    expect(counted(-62_135_596_800)).toBe(0);
    expect(counted(253_402_300_799)).toBe(0);
  });

  test("goes by the payload's arrival, not by the clock", () => {
    const at = { ...meta, receivedAt: 86_400_000 };
    expect(rowsOf([{ timestamp: 86_400, page: "/" }], {}, at)).toHaveLength(2);
    expect(rowsOf([{ timestamp: NOON, page: "/" }], {}, at)).toHaveLength(0);
  });

  test("leaves out of an interval what its retention would delete at once", () => {
    const retain = { minute: "7 days", hour: "2 years" } as const;
    const intervalsAt = (timestamp: number) =>
      rowsOf([{ timestamp, page: "/" }], { retain }).map(([interval]) => interval);
    expect(intervalsAt(NOON - 7 * DAY)).toEqual(["60", "3600"]);
    expect(intervalsAt(NOON - 7 * DAY - 60)).toEqual(["3600"]);
    expect(intervalsAt(NOON - 366 * DAY)).toEqual([]);
  });

  test("holds moments before 1970 in the bucket that they lie in", () => {
    const at = { ...meta, receivedAt: -1_000 };
    const rows = rowsOf([{ timestamp: -1, page: "/" }], {}, at);
    expect(rows.map(([, bucket]) => bucket)).toEqual([
      "1969-12-31 23:59:00.000000+00",
      "1969-12-31 23:00:00.000000+00",
    ]);
  });
});

describe("keys", () => {
  const pages = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ timestamp: NOON, page: `page-${index}` }));

  test("beyond maxKeys share one row, and the totals stay right", () => {
    const rows = rowsOf(pages(1_000), { maxKeys: 10, intervals: ["hour"] });
    expect(rows).toHaveLength(11);
    expect(rows.find((row) => row[3] === "(other)")?.[4]).toBe("990");
  });

  test("of one token leave those of another alone, and an hour later all start anew", () => {
    const rollup = compileRollup(
      defineRollup("views", { ...options, maxKeys: 2, intervals: ["hour"] }),
    );
    const keysOf = (at: typeof meta) => {
      const group = rollup.createGroup();
      for (const record of pages(3)) group.collect({ t: "view", ...record }, at);
      return group.statements()[0]?.values[3];
    };
    const shared = ["(other)", "page-0", "page-1"];
    expect(keysOf(meta)).toEqual(shared);
    expect(keysOf(meta)).toEqual(shared);
    expect(keysOf({ ...meta, token: "app" })).toEqual(shared);
    const group = rollup.createGroup();
    for (const at of [meta.receivedAt, meta.receivedAt + 3_600_000]) {
      const record = { t: "view", timestamp: NOON, page: `new-${at}` };
      group.collect(record, { ...meta, receivedAt: at });
    }
    expect(group.statements()[0]?.values[3]).toEqual([
      "(other)",
      `new-${meta.receivedAt + 3_600_000}`,
    ]);
  });

  test("that are longer than an index can hold share that row too", () => {
    const rows = rowsOf([{ timestamp: NOON, page: "x".repeat(100_000) }]);
    expect(rows.map((row) => row[3])).toEqual(["(other)", "(other)"]);
  });
});

describe("statements", () => {
  test("go by interval, bucket, token and key, whatever order the records came in", () => {
    const rollup = compileRollup(defineRollup("views", options));
    const records = [3_600, 60, 0].flatMap((offset) =>
      ["b", "a"].flatMap((page) =>
        ["web", "app"].map((token) => ({ timestamp: NOON - offset, page, token })),
      ),
    );
    const order = (own: typeof records) => {
      const group = rollup.createGroup();
      for (const { token, ...record } of own) {
        group.collect({ t: "view", ...record }, { ...meta, token });
      }
      return group
        .statements()
        .flatMap(({ values }) =>
          (values[0] ?? []).map((_, row) => values.slice(0, 4).map((column) => column[row])),
        );
    };
    const inOrder = order(records);
    expect(order(records.toReversed())).toEqual(inOrder);
    const sortable = inOrder.map((row) =>
      [String(row[0]).padStart(4, "0"), ...row.slice(1)].join(),
    );
    expect(sortable).toEqual(sortable.toSorted());
    expect(inOrder).toHaveLength(20);
  });

  test("stand among those of the upserts by the names of the tables", () => {
    const upsert = (name: string) =>
      defineUpsert(name, { match: { t: "view" }, key: options.key, occurredAt: "timestamp" });
    const upserts = compileUpserts({
      tables: [],
      upserts: [upsert("d"), upsert("b")],
      rollups: [defineRollup("c", options), defineRollup("a", options)],
    });
    const groups = upserts.createGroups();
    upserts.collect(groups, { t: "view", timestamp: NOON, page: "/" }, meta);
    const tables = upserts
      .statements(groups)
      .map(({ text: sql }) => /INSERT INTO "(\w+)"/.exec(sql)?.[1]);
    expect(tables).toEqual(["a", "b", "c", "d"]);
  });

  test("are cut at 5,000 rows, and earlier when values are long", () => {
    const group = compileRollup(
      defineRollup("views", { ...options, intervals: ["hour"], maxKeys: 100_000 }),
    ).createGroup();
    for (let index = 0; index < 5_001; index++) {
      group.collect({ t: "view", timestamp: NOON, page: `page-${index}` }, meta);
    }
    const title = "x".repeat(5 * 1024 * 1024);
    for (const page of ["y", "z"]) {
      group.collect({ t: "view", timestamp: NOON, page, title }, meta);
    }
    const sizes = group.statements().map(({ values }) => values[0]?.length);
    expect(sizes).toEqual([5_000, 2, 1]);
  });
});
