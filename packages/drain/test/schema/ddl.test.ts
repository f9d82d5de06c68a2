import { expect, test } from "vitest";
import { tableStatements } from "../../src/schema/ddl.ts";
import { double, integer, text, textArray, timestamptz } from "../../src/schema/columns.ts";
import { defineTable } from "../../src/schema/table.ts";
import { defineUpsert } from "../../src/schema/upsert.ts";

test("a table has its columns, its own three, what it has gained, and its indexes", () => {
  const table = defineTable("views", {
    match: { t: "view" },
    columns: {
      occurred_at: timestamptz("timestamp", { required: true }),
      tags: textArray("tags"),
      ratio: double("ratio"),
    },
    indexes: [{ columns: ["occurred_at"], method: "brin" }, { columns: ["ratio", "token"] }],
  });
  const statements = tableStatements({ tables: [table], upserts: [] });
  expect(statements.slice(0, 4)).toEqual([
    `CREATE TABLE IF NOT EXISTS "views" (
  "occurred_at" timestamptz NOT NULL,
  "tags" text[],
  "ratio" double precision,
  received_at timestamptz NOT NULL,
  token text NOT NULL,
  unknown_fields jsonb
)`,
    `ALTER TABLE "views"
  ADD COLUMN IF NOT EXISTS "occurred_at" timestamptz,
  ADD COLUMN IF NOT EXISTS "tags" text[],
  ADD COLUMN IF NOT EXISTS "ratio" double precision`,
    `CREATE INDEX IF NOT EXISTS "views_occurred_at_brin" ON "views" USING brin ("occurred_at")`,
    `CREATE INDEX IF NOT EXISTS "views_ratio_token_idx" ON "views" USING btree ("ratio", "token")`,
  ]);
  expect(statements[4]).toContain(`CREATE TABLE IF NOT EXISTS "millrace_events"`);
});

test("a partitioned table has a default partition, unless it exists unpartitioned", () => {
  const table = defineTable("views", {
    match: { t: "view" },
    columns: { occurred_at: timestamptz("timestamp", { required: true }) },
    partitionBy: { column: "occurred_at", interval: "month" },
  });
  const [create, partition] = tableStatements({ tables: [table], upserts: [] });
  expect(create).toMatch(/\n\) PARTITION BY RANGE \("occurred_at"\)$/);
  expect(partition).toContain("partrelid = to_regclass('views') AND partdefid = 0");
  expect(partition).toContain(
    `CREATE TABLE IF NOT EXISTS "views_default"\n      PARTITION OF "views" DEFAULT`,
  );
});

test("an upsert table has the token and its key as primary key", () => {
  const upsert = defineUpsert("pages", {
    match: { t: "view" },
    key: { page: text("page") },
    occurredAt: "timestamp",
    counts: { views: {} },
    latest: { size: integer("size") },
    keepUnknownFields: true,
  });
  expect(tableStatements({ tables: [], upserts: [upsert] }).slice(0, 2)).toEqual([
    `CREATE TABLE IF NOT EXISTS "pages" (
  token text NOT NULL,
  "page" text NOT NULL,
  "views" bigint NOT NULL DEFAULT 0,
  first_seen_at timestamptz NOT NULL,
  last_seen_at timestamptz NOT NULL,
  "size" integer,
  unknown_fields jsonb,
  PRIMARY KEY ("token", "page")
)`,
    `ALTER TABLE "pages"
  ADD COLUMN IF NOT EXISTS "views" bigint NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS "size" integer,
  ADD COLUMN IF NOT EXISTS unknown_fields jsonb`,
  ]);
});

test("names of indexes that PostgreSQL would cut stay distinct", () => {
  const column = "c".repeat(50);
  const table = defineTable("t".repeat(50), {
    match: { t: "x" },
    columns: { [`${column}1`]: text("a"), [`${column}2`]: text("b") },
    indexes: [{ columns: [`${column}1`] }, { columns: [`${column}2`] }],
  });
  const names = tableStatements({ tables: [table], upserts: [] })
    .slice(2, 4)
    .map((statement) => /IF NOT EXISTS "(\w+)"/.exec(statement)?.[1] ?? "");
  expect(new Set(names).size).toBe(2);
  for (const name of names) expect(name).toHaveLength(63);
});
