import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileRouter } from "../../src/encode/router.ts";
import { RecordRefused } from "../../src/encode/record-refused.ts";
import { integer, jsonb, text, timestamptz } from "../../src/schema/columns.ts";
import { defineTable } from "../../src/schema/table.ts";
import { defineUpsert } from "../../src/schema/upsert.ts";
import { compileUpserts } from "../../src/upsert/compiled-upserts.ts";
import { decodeCopyLine } from "./copy-decoder.ts";

const meta = { receivedAt: 0, token: "web" };
const schema = {
  tables: [
    defineTable("views", {
      match: { t: "view" },
      columns: {
        occurred_at: timestamptz("timestamp"),
        page: text("page"),
        title: jsonb("title"),
      },
    }),
  ],
  upserts: [
    defineUpsert("pages", {
      match: { t: ["view", "bookmark"] },
      key: { page: text("page") },
      occurredAt: "timestamp",
      latest: { size: integer("size"), title: text("title") },
    }),
    defineUpsert("people", {
      match: { t: "person" },
      key: { id: text("id", { required: true }) },
      occurredAt: "timestamp",
      keepUnknownFields: true,
    }),
  ],
};
const router = compileRouter(schema);

function encode(record: Record<string, unknown>): string {
  return router.route(record).encode(record, meta);
}

describe("a record", () => {
  test("goes to the table of its type", () => {
    expect(router.route({ t: "view" }).name).toBe("views");
  });

  test("of a type that only an upsert takes is checked and not copied", () => {
    const destination = router.route({ t: "person" });
    expect(destination.name).toBe("people");
    expect(destination.copySql).toBeUndefined();
    expect(encode({ t: "person", id: "1", timestamp: 1 })).toBe("");
    expect(() => encode({ t: "person", timestamp: 1 })).toThrow("id: missing");
    expect(() => encode({ t: "person", id: 1, timestamp: 1 })).toThrow("id: expected a string");
    expect(() => encode({ t: "person", id: "1" })).toThrow("timestamp: missing");
    expect(() => encode({ t: "person", id: "1", timestamp: 1, more: "\0" })).toThrow(
      "unknown_fields: holds U+0000",
    );
  });

  test("is checked for what the upserts read and the table does not", () => {
    expect(encode({ t: "view", page: "/", timestamp: 1, size: 5 })).toContain("/");
    expect(() => encode({ t: "view", page: "/", timestamp: 1, size: "5" })).toThrow(
      "size: expected an integer",
    );
    expect(() => encode({ t: "view", page: "/" })).toThrow("timestamp: missing");
    expect(() => encode({ t: "view", page: "/", timestamp: 1, title: ["a"] })).toThrow(
      "title: expected a string, got an array",
    );
  });

  test("that was encoded can be collected", () => {
    const upserts = compileUpserts(schema);
    const value = fc.constantFrom<unknown>(null, "", "a", "\0", 1, 1.5, -1e30, true, [], {});
    const record = fc.record(
      {
        t: fc.constantFrom("view", "bookmark", "person"),
        page: value,
        id: value,
        timestamp: fc.oneof({ weight: 5, arbitrary: fc.constant(5) }, value),
        size: value,
        title: value,
        other: value,
      },
      { requiredKeys: ["t"] },
    );
    let encoded = 0;
    fc.assert(
      fc.property(record, (sent) => {
        try {
          encode(sent);
        } catch (error) {
          expect(error).toBeInstanceOf(RecordRefused);
          return;
        }
        encoded++;
        upserts.collect(upserts.createGroups(), sent, meta);
      }),
      { numRuns: 3_000 },
    );
    expect(encoded).toBeGreaterThan(10);
  });

  test.each([[null], [5], ["text"], [true], [[]], [[{ t: "view" }]]])(
    "that is %o is refused",
    (record) => {
      expect(() => router.route(record)).toThrow(RecordRefused);
      expect(() => router.route(record)).toThrow(/^expected an object, got/);
    },
  );
});

describe("millrace_events", () => {
  test.each([
    [
      "an unknown type",
      { t: "ai-event", timestamp: 1.5 },
      "ai-event",
      "1970-01-01 00:00:01.500000+00",
    ],
    ["no type", { a: 1 }, null, null],
    ["a type that is no string", { t: 5, timestamp: "soon" }, null, null],
    ["a type as every object has", { t: "constructor", timestamp: 1e15 }, "constructor", null],
  ])("keeps a record with %s whole", (_, record, type, occurredAt) => {
    expect(router.route(record).name).toBe("millrace_events");
    expect(decodeCopyLine(encode(record))).toEqual([
      type,
      occurredAt,
      "1970-01-01 00:00:00.000000+00",
      "web",
      JSON.stringify(record),
    ]);
  });

  test("refuses what jsonb cannot hold unchanged", () => {
    expect(() => encode({ t: "new", a: { b: "\0" } })).toThrow('(at "a.b")');
    expect(() => encode({ t: "\udc00" })).toThrow("half of a surrogate pair");
    expect(() => encode({ t: "new", a: 2 ** 53 })).toThrow("not exact");
  });
});
