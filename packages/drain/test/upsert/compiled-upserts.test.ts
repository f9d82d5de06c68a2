import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RecordRefused } from "../../src/encode/record-refused.ts";
import { integer, text } from "../../src/schema/columns.ts";
import { defineUpsert } from "../../src/schema/upsert.ts";
import { compileUpserts } from "../../src/upsert/compiled-upserts.ts";

const meta = { receivedAt: 0, token: "web" };
const pages = defineUpsert("pages", {
  match: { t: ["view", "like"] },
  key: { page: text("page", { emptyAsNull: true }), size: integer("size") },
  occurredAt: "timestamp",
  counts: { records: {}, views: { t: "view" }, mobile_views: { t: "view", mobile: true } },
  latest: { title: text("title") },
  keepUnknownFields: true,
});
const authors = defineUpsert("authors", {
  match: { t: "view" },
  key: { author: text("author") },
  occurredAt: "timestamp",
  counts: { views: {} },
});
const upserts = compileUpserts({ tables: [], upserts: [pages, authors] });

function at(seconds: number): string {
  return `1970-01-01 00:00:${String(seconds).padStart(2, "0")}.000000+00`;
}

/** The rows of the statements, in the order of the columns. */
function rowsOf(records: Array<Record<string, unknown>>, tokens = ["web"]) {
  const groups = upserts.createGroups();
  for (const token of tokens) {
    for (const record of records) upserts.collect(groups, record, { ...meta, token });
  }
  return upserts.statements(groups).map(({ text: sql, values }) => ({
    table: /INSERT INTO "(\w+)"/.exec(sql)?.[1],
    rows: (values[0] ?? []).map((_, row) => values.map((column) => column[row])),
  }));
}

describe("collecting", () => {
  test("counts, keeps the first and last moment, and the values of the latest record", () => {
    const record = { t: "view", page: "/", size: 1, mobile: true };
    expect(
      rowsOf([
        { ...record, timestamp: 5, title: "five" },
        { ...record, timestamp: 9, title: "nine", extra: [1] },
        { ...record, timestamp: 2, title: "two", t: "like" },
        { ...record, timestamp: 7, title: "seven", mobile: false },
      ]),
    ).toEqual([
      {
        table: "pages",
        rows: [
          ["web", "/", "1", "4", "3", "2", at(2), at(9), "nine", '{"mobile":true,"extra":[1]}'],
        ],
      },
    ]);
  });

  test("of two records of one moment keeps the values of the later", () => {
    const record = { t: "like", page: "/", size: 1, timestamp: 5 };
    const [statement] = rowsOf([
      { ...record, title: "first" },
      { ...record, title: "second" },
    ]);
    expect(statement?.rows[0]?.slice(8)).toEqual(["second", null]);
  });

  test("skips records without a whole key, and types it is not for", () => {
    const record = { t: "view", page: "/", size: 1, timestamp: 5 };
    expect(
      rowsOf([
        { ...record, page: "" },
        { ...record, size: null },
        { ...record, t: "x" },
      ]),
    ).toEqual([]);
  });

  test("keeps tokens apart, and keys whose parts only look alike together", () => {
    const records = [
      { t: "like", page: "a", size: 12, timestamp: 5 },
      { t: "like", page: "a1", size: 2, timestamp: 5 },
    ];
    const [statement] = rowsOf(records, ["web", "app"]);
    expect(statement?.rows.map((row) => row.slice(0, 4))).toEqual([
      ["app", "a", "12", "1"],
      ["app", "a1", "2", "1"],
      ["web", "a", "12", "1"],
      ["web", "a1", "2", "1"],
    ]);
  });

  test("counts exactly what a plain count finds", () => {
    const record = fc.record({
      t: fc.constantFrom("view", "like"),
      page: fc.constantFrom("", "a", "b", "\u{1F389}", "\uFFFD"),
      size: fc.constantFrom(1, 2),
      timestamp: fc.integer({ min: 0, max: 59 }),
      mobile: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 50 }), (records) => {
        const expected = Map.groupBy(
          records.filter(({ page }) => page !== ""),
          ({ page, size }) => `${page} ${size}`,
        );
        const rows = rowsOf(records).flatMap((statement) => statement.rows);
        expect(rows).toHaveLength(expected.size);
        for (const [, page, size, all, views, mobileViews, first, last] of rows) {
          const group = expected.get(`${page} ${size}`) ?? [];
          const isView = ({ t }: { t: string }) => t === "view";
          expect([all, views, mobileViews].map(Number)).toEqual([
            group.length,
            group.filter(isView).length,
            group.filter((one) => isView(one) && one.mobile).length,
          ]);
          const moments = group.map(({ timestamp }) => timestamp);
          expect([first, last]).toEqual([at(Math.min(...moments)), at(Math.max(...moments))]);
        }
      }),
    );
  });

  test("a record that is refused changes nothing", () => {
    const groups = upserts.createGroups();
    const record = { t: "like", page: "/", size: 1, timestamp: 5 };
    upserts.collect(groups, record, meta);
    const before = upserts.statements(groups);
    for (const bad of [{ title: 5 }, { timestamp: "5" }, { extra: "\0" }, { size: 1.5 }]) {
      const collect = () => upserts.collect(groups, { ...record, timestamp: 6, ...bad }, meta);
      expect(collect).toThrow(RecordRefused);
    }
    expect(upserts.statements(groups)).toEqual(before);
  });
});

describe("statements", () => {
  test("go by table name and key, however the schema and the records are ordered", () => {
    const records = ["b", "a", "c", "a"].map((author, index) => ({
      t: "view",
      author,
      page: `/${author}`,
      size: 1,
      timestamp: index,
    }));
    const reordered = compileUpserts({ tables: [], upserts: [authors, pages] });
    const groups = reordered.createGroups();
    for (const record of records.toReversed()) reordered.collect(groups, record, meta);
    const keysOf = (values: Array<Array<string | null>>) => values[1];
    expect(reordered.statements(groups).map(({ values }) => keysOf(values))).toEqual([
      ["a", "b", "c"],
      ["/a", "/b", "/c"],
    ]);
    expect(rowsOf(records).map(({ table }) => table)).toEqual(["authors", "pages"]);
  });

  test("are cut at 5,000 keys, and earlier when values are long", () => {
    const groups = upserts.createGroups();
    for (let size = 0; size < 5_001; size++) {
      upserts.collect(groups, { t: "like", page: "/", size, timestamp: 1 }, meta);
    }
    const title = "x".repeat(5 * 1024 * 1024);
    for (const page of ["a", "b"]) {
      upserts.collect(groups, { t: "like", page, size: 1, timestamp: 1, title }, meta);
    }
    const sizes = upserts.statements(groups).map(({ values }) => values[0]?.length);
    expect(sizes).toEqual([5_000, 2, 1]);
  });
});
