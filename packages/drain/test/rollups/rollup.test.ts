import { MillraceError } from "@millrace/core";
import { describe, expect, test } from "vitest";
import { compileRouter } from "../../src/encode/router.ts";
import { checkSchema } from "../../src/schema/drain-schema.ts";
import { bigint, text, timestamptz } from "../../src/schema/columns.ts";
import { tableStatements } from "../../src/schema/ddl.ts";
import { defineTable } from "../../src/schema/table.ts";
import { defineRollup, type RollupOptions } from "../../src/rollups/rollup.ts";

const options: RollupOptions = {
  match: { t: "view" },
  key: { template: text("template") },
  occurredAt: "timestamp",
};

function problemOf(overrides: Partial<Record<keyof RollupOptions, unknown>>, name = "views") {
  try {
    defineRollup(name, { ...options, ...(overrides as Partial<RollupOptions>) });
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    expect(error.code).toBe("DRAIN_TABLE_INVALID");
    return error.message;
  }
  return undefined;
}

test("a rollup is plain data, per minute and hour unless it says otherwise", () => {
  const rollup = defineRollup("views", options);
  expect(rollup).toEqual({
    name: "views",
    match: { t: "view" },
    key: { template: { type: "text", field: "template" } },
    occurredAt: "timestamp",
    latest: {},
    intervals: ["minute", "hour"],
    retain: {},
    maxKeys: 5_000,
  });
  expect(structuredClone(rollup)).toEqual(rollup);
});

describe("a rollup is refused", () => {
  test.each([
    ["whose key is empty", { key: {} }, "a key needs a column"],
    ["whose key is no text", { key: { size: bigint("size") } }, "columns are text, not bigint"],
    ["whose labels are no text", { latest: { at: timestamptz("at") } }, "text, not timestamptz"],
    ["with a column of its own name", { key: { bucket: text("b") } }, "bucket exists by itself"],
    ["with one column twice", { latest: { template: text("t") } }, "template is declared twice"],
    ["with a field that all objects have", { duration: "toString" }, "cannot be the name"],
    ["with an empty moment", { occurredAt: "" }, "cannot be the name of a field"],
    ["with errors of no condition", { errors: { field: "status" } }, "errors must be"],
    ["with errors of a text bound", { errors: { field: "s", atLeast: "5" } }, "errors must be"],
    ["with errors of two", { errors: { field: "s", atLeast: 5, equals: 5 } }, "errors must be"],
    ["without intervals", { intervals: [] }, "each once"],
    ["with an interval twice", { intervals: ["hour", "hour"] }, "each once"],
    ["with another interval", { intervals: ["day"] }, 'minute or hour, not "day"'],
    [
      "that keeps what it does not make",
      { intervals: ["hour"], retain: { minute: "1 day" } },
      "retain.minute",
    ],
    ["with a retention that is none", { retain: { hour: "a while" } }, 'not "a while"'],
    ["with no keys", { maxKeys: 0 }, "from 1 to 100000"],
    ["for no type", { match: { t: "" } }, "match.t"],
  ])("%s", (_, overrides, problem) => {
    expect(problemOf(overrides)).toContain(problem);
  });

  test("under a name that is taken", () => {
    expect(problemOf({}, "millrace_views")).toContain("millrace_");
    const rollup = defineRollup("views", options);
    expect(() => checkSchema({ tables: [], upserts: [], rollups: [rollup, rollup] })).toThrow(
      "declared twice",
    );
  });
});

test("its table has the interval, the bucket, the token and the key as primary key", () => {
  const rollup = defineRollup("views", {
    ...options,
    duration: "duration",
    errors: { field: "failed", equals: true },
    latest: { title: text("title") },
  });
  const statements = tableStatements({ tables: [], upserts: [], rollups: [rollup] });
  expect(statements.slice(3, 5)).toEqual([
    `CREATE TABLE IF NOT EXISTS "views" (
  "interval_seconds" integer NOT NULL,
  "bucket" timestamptz NOT NULL,
  "token" text NOT NULL,
  "template" text NOT NULL,
  "occurrences" bigint NOT NULL DEFAULT 0,
  "errors" bigint NOT NULL DEFAULT 0,
  "duration_count" bigint NOT NULL DEFAULT 0,
  "duration_us_sum" numeric NOT NULL DEFAULT 0,
  "duration_us_min" bigint,
  "duration_us_max" bigint,
  "sketch" bigint[],
  "last_seen_at" timestamptz,
  "title" text,
  PRIMARY KEY ("interval_seconds", "bucket", "token", "template")
) WITH (fillfactor = 70)`,
    `ALTER TABLE "views"
  ADD COLUMN IF NOT EXISTS "occurrences" bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS "errors" bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS "duration_count" bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS "duration_us_sum" numeric NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS "duration_us_min" bigint,
  ADD COLUMN IF NOT EXISTS "duration_us_max" bigint,
  ADD COLUMN IF NOT EXISTS "sketch" bigint[],
  ADD COLUMN IF NOT EXISTS "last_seen_at" timestamptz,
  ADD COLUMN IF NOT EXISTS "title" text`,
  ]);
});

test("a schema without rollups makes no functions", () => {
  const statements = tableStatements({ tables: [], upserts: [] });
  expect(statements.filter((statement) => statement.includes("FUNCTION"))).toEqual([]);
});

describe("a record that the rollup cannot read", () => {
  const rollup = defineRollup("views", { ...options, duration: "duration" });
  const table = defineTable("raw_views", { match: { t: "view" }, columns: { url: text("url") } });
  const meta = { receivedAt: 0, token: "web" };

  test.each([[{ timestamp: "1" }], [{ template: 5 }], [{ duration: 1.5 }], [{ timestamp: null }]])(
    "is refused before anything is written: %j",
    (wrong) => {
      const router = compileRouter({ tables: [table], upserts: [], rollups: [rollup] });
      const record = { t: "view", timestamp: 1, template: "/", duration: 5, ...wrong };
      expect(() => router.route(record).encode(record, meta)).toThrow(Object.keys(wrong)[0]);
    },
  );

  test("of a type that no table takes goes to the rollup only", () => {
    const router = compileRouter({ tables: [], upserts: [], rollups: [rollup] });
    expect(router.route({ t: "view" })).toMatchObject({ name: "views", copySql: undefined });
  });
});
