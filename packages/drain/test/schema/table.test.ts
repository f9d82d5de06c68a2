import { MillraceError } from "@millrace/core";
import { describe, expect, test } from "vitest";
import { checkSchema } from "../../src/schema/drain-schema.ts";
import {
  type ColumnDefinition,
  double,
  integer,
  text,
  textArray,
  timestamptz,
} from "../../src/schema/columns.ts";
import type { PartitionBy } from "../../src/schema/partition-by.ts";
import { checkTable, defineTable, type TableOptions } from "../../src/schema/table.ts";
import { defineUpsert, type UpsertOptions } from "../../src/schema/upsert.ts";

const tableOptions: TableOptions = { match: { t: "x" }, columns: { a: text("a") } };
const upsertOptions: UpsertOptions = {
  match: { t: "x" },
  key: { a: text("a") },
  occurredAt: "timestamp",
};

function problemOf(declare: () => unknown): string {
  try {
    declare();
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    expect(error.code).toBe("DRAIN_TABLE_INVALID");
    return error.message;
  }
  throw new Error("the declaration was accepted");
}

describe("a declaration", () => {
  test("is plain data that survives JSON and a clone to another thread", () => {
    const table = defineTable("a_table", {
      ...tableOptions,
      columns: { a: text("a", { emptyAsNull: true }), b: integer("b", { required: true }) },
      indexes: [{ columns: ["b", "token"], method: "brin" }],
    });
    const upsert = defineUpsert("an_upsert", { ...upsertOptions, counts: { seen: { a: "b" } } });
    expect(JSON.parse(JSON.stringify(table))).toEqual(table);
    expect(structuredClone(upsert)).toEqual(upsert);
    expect(table.columns["a"]).toEqual({ type: "text", field: "a", emptyAsNull: true });
    expect(table.columns["b"]).toEqual({ type: "integer", field: "b", required: true });
    expect(upsert.match).toEqual({ t: ["x"] });
  });

  test.each([
    ["", "must start with a-z"],
    ["Views", "must start with a-z"],
    ["1st", "must start with a-z"],
    ['a"; drop table b; --', "must start with a-z"],
    ["a".repeat(64), "has 64 characters, PostgreSQL keeps 63"],
    ["millrace_ledger", "names that start with millrace_ are taken"],
    [5 as unknown as string, "must be a string, not number"],
  ])("called %o is refused", (name, problem) => {
    expect(problemOf(() => defineTable(name, tableOptions))).toContain(problem);
    expect(problemOf(() => defineUpsert(name, upsertOptions))).toContain(problem);
  });

  test("may be called as long as PostgreSQL allows", () => {
    expect(defineTable("a".repeat(63), tableOptions).name).toHaveLength(63);
  });
});

describe("a table", () => {
  test.each([
    [{ "A b": text("a") }, 'column "A b"'],
    [{ token: text("token") }, "column token exists by itself"],
    [{ unknown_fields: text("a") }, "column unknown_fields exists by itself"],
    [{ a: text("") }, 'column a: "" cannot be the name of a field'],
    [{ a: text("constructor") }, '"constructor" cannot be the name of a field'],
    [{ a: { type: "money", field: "a" } as unknown as ColumnDefinition }, "no known type"],
    [{ a: null as unknown as ColumnDefinition }, "no known type"],
    [{ a: { ...integer("a"), emptyAsNull: true } }, "emptyAsNull is for text, not for integer"],
  ])("with the columns %o is refused", (columns, problem) => {
    expect(problemOf(() => defineTable("a_table", { ...tableOptions, columns }))).toContain(
      problem,
    );
  });

  test.each([
    [{ columns: [] }, "an index needs a column"],
    [{ columns: ["b"] }, "names the column b, which is not declared"],
    [{ columns: ["toString"] }, "which is not declared"],
    [{ columns: ["a"], method: "hash" as "brin" }, "btree or brin, not hash"],
  ])("with the index %o is refused", (index, problem) => {
    const options = { ...tableOptions, indexes: [index] };
    expect(problemOf(() => defineTable("a_table", options))).toContain(problem);
  });

  test.each<[Partial<PartitionBy>, string]>([
    [{ column: "b" }, "which b is not"],
    [{ column: "a" }, "which a is not"],
    [{ column: "maybe_at" }, "which maybe_at is not"],
    [{ column: "toString" }, "which toString is not"],
    [{ interval: "week" as "day" }, 'is day or month, not "week"'],
    [{ retain: "30" as "30 days" }, 'is like "30 days"'],
    [{ retain: "0 days" }, "retain"],
    [{ retain: "-1 days" }, "retain"],
    [{ retain: "1.5 days" }, "retain"],
    [{ retain: "30 days; drop table x" as "30 days" }, "retain"],
    [null as unknown as PartitionBy, "partitionBy must be { column, interval, retain? }"],
  ])("partitioned by %o is refused", (change, problem) => {
    const columns = {
      a: text("a"),
      at: timestamptz("at", { required: true }),
      maybe_at: timestamptz("at"),
    };
    const partitionBy = change && { column: "at", interval: "day" as const, ...change };
    const options = { ...tableOptions, columns, partitionBy };
    expect(
      problemOf(() =>
        checkTable({
          ...defineTable("a_table", { ...options, partitionBy: undefined }),
          partitionBy,
        }),
      ),
    ).toContain(problem);
  });

  test("partitioned by when its records arrived needs no column for it", () => {
    const partitionBy = { column: "received_at", interval: "month", retain: "1 year" } as const;
    const table = defineTable("a_table", { ...tableOptions, partitionBy });
    expect(table.partitionBy).toEqual(partitionBy);
    expect(JSON.parse(JSON.stringify(table))).toEqual(table);
  });

  test("partitioned under a name that leaves no room for its partitions is refused", () => {
    const partitionBy = { column: "received_at", interval: "day" } as const;
    const define = (length: number) => () =>
      defineTable("a".repeat(length), { ...tableOptions, partitionBy });
    expect(define(53)().name).toHaveLength(53);
    expect(problemOf(define(54))).toContain("those of its partitions leave it 53");
  });

  test("without a record type is refused", () => {
    const options = { ...tableOptions, match: { t: "" } };
    expect(problemOf(() => defineTable("a_table", options))).toContain("match.t must be");
  });
});

describe("an upsert", () => {
  test.each<[Partial<UpsertOptions>, string]>([
    [{ key: {} }, "a key needs a column"],
    [{ key: { a: double("a") } }, "a: double cannot be in a key"],
    [{ key: { a: textArray("a") } }, "a: text[] cannot be in a key"],
    [{ key: { first_seen_at: text("a") } }, "column first_seen_at exists by itself"],
    [{ counts: { a: {} } }, "column a is declared twice"],
    [{ latest: { a: text("a") } }, "column a is declared twice"],
    [{ counts: { "a b": {} } }, 'column "a b"'],
    [{ counts: { b: { valueOf: 1 } } }, '"valueOf" cannot be the name of a field'],
    [{ occurredAt: "" }, '"" cannot be the name of a field'],
    [{ match: { t: ["x", "x"] } }, "names a record type twice"],
    [{ match: { t: ["x", ""] } }, "match.t must be a record type"],
  ])("with %o is refused", (options, problem) => {
    expect(problemOf(() => defineUpsert("pages", { ...upsertOptions, ...options }))).toContain(
      problem,
    );
  });
});

describe("a schema", () => {
  const table = defineTable("a_table", tableOptions);

  test("with two tables for one record type is refused", () => {
    const tables = [table, defineTable("another", tableOptions)];
    expect(problemOf(() => checkSchema({ tables, upserts: [] }))).toContain(
      "records of type x already land in a_table",
    );
  });

  test("with a name declared twice is refused", () => {
    const upserts = [defineUpsert("a_table", upsertOptions)];
    expect(problemOf(() => checkSchema({ tables: [table], upserts }))).toContain("declared twice");
  });

  test.each(["a_table_default", "a_table_p20261123", "a_table_p202611"])(
    "with a table called like a partition, %s, is refused",
    (name) => {
      const partitionBy = { column: "received_at", interval: "day" } as const;
      const other = defineTable(name, { ...tableOptions, match: { t: "y" } });
      const tables = [{ ...table, partitionBy }, other];
      expect(problemOf(() => checkSchema({ tables, upserts: [] }))).toContain(
        "partitions of a_table may be called so",
      );
      expect(() => checkSchema({ tables: [table, other], upserts: [] })).not.toThrow();
    },
  );

  test("written by hand is checked too", () => {
    const tables = [{ ...table, name: "A" }];
    expect(problemOf(() => checkSchema({ tables, upserts: [] }))).toContain("must start with a-z");
  });
});
