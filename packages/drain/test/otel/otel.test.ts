import { combineSchemas, defineTable, text, timestamptzNanoseconds } from "@millrace/drain";
import { nightwatch } from "@millrace/drain/nightwatch";
import { otel } from "@millrace/drain/otel";
import { expect, it } from "vitest";
import { ColumnReader } from "../../src/encode/column-reader.ts";
import { compileRouter } from "../../src/encode/router.ts";

it("stands beside nightwatch() and tables of one's own", () => {
  const own = defineTable("page_views", {
    match: { t: "page-view" },
    columns: { url: text("url") },
  });
  const schema = combineSchemas(nightwatch(), otel({ retain: "30 days" }), [own]);
  const router = compileRouter(schema);
  expect(router.route({ t: "otel-log" }).name).toBe("otel_logs");
  expect(router.route({ t: "otel-span" }).name).toBe("otel_spans");
  expect(router.route({ t: "request" }).name).toBe("nightwatch_requests");
  expect(router.route({ t: "page-view" }).name).toBe("page_views");
  expect(schema.rollups).toEqual(nightwatch().rollups);
});

it("refuses two schemas with a table of one name", () => {
  expect(() => compileRouter(combineSchemas(otel(), otel()))).toThrow("otel_logs");
});

it("cuts nanoseconds to microseconds without rounding them", () => {
  const column = new ColumnReader("at", timestamptzNanoseconds("at", { required: true }));
  const read = (value: unknown) => column.read(value);
  expect(read("1767225600999999999")).toBe("2026-01-01 00:00:00.999999+00");
  expect(read("0")).toBe("1970-01-01 00:00:00.000000+00");
  expect(read("18446744073709551615")).toBe("2554-07-21 23:34:33.709551+00");
  for (const wrong of [1, "1.5", "-1", "", "9".repeat(30), null, undefined]) {
    expect(() => read(wrong)).toThrow("at");
  }
});
