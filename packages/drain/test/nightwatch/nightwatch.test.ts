import { describe, expect, test } from "vitest";
import { RecordRefused } from "../../src/encode/record-refused.ts";
import { compileRouter } from "../../src/encode/router.ts";
import { nightwatch } from "../../src/nightwatch/index.ts";
import type { ColumnDefinition } from "../../src/schema/columns.ts";
import { compileUpserts } from "../../src/upsert/compiled-upserts.ts";
import { decodeArray, decodeCopyLine } from "../encode/copy-decoder.ts";
import { readSamples, type Sample } from "./samples.ts";

const meta = { receivedAt: 1_795_408_587_000, token: "web" };
const schema = nightwatch();
const router = compileRouter(schema);
const samples = readSamples();
const copied = samples.filter(({ t }) => t !== "user");

function tableFor(type: string) {
  const table = schema.tables.find(({ match }) => match.t === type);
  if (table === undefined) throw new Error(`no table takes ${type}`);
  return table;
}

function sampleOf(type: string): Sample {
  const sample = samples.find(({ t }) => t === type);
  if (sample === undefined) throw new Error(`no sample is a ${type}`);
  return sample;
}

/** What the cell of a column must hold for a value as it was sent. */
function expectedCell(field: string, value: unknown, { type }: ColumnDefinition): unknown {
  if (field === "user" && value === "") return null;
  if (type === "timestamptz") {
    const microseconds = BigInt(Math.round((value as number) * 1e6));
    const date = new Date(Number(microseconds / 1_000n)).toISOString();
    const text = date.replace("T", " ").slice(0, 19);
    return `${text}.${String(microseconds % 1_000_000n).padStart(6, "0")}+00`;
  }
  if (typeof value === "boolean") return value ? "t" : "f";
  return Array.isArray(value) ? value : String(value);
}

test("there are samples of all 13 record types", () => {
  expect(samples).toHaveLength(71);
  expect(new Set(samples.map(({ t }) => t)).size).toBe(13);
});

test("the schema is plain data", () => {
  expect(structuredClone(schema)).toEqual(schema);
  expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
});

test("every table that records are copied to is partitioned by when they happened", () => {
  const partitionBy = { column: "occurred_at", interval: "day" };
  expect(schema.tables.map((table) => table.partitionBy)).toEqual(
    schema.tables.map(() => partitionBy),
  );
  const { tables } = nightwatch({ retain: "30 days", partitionInterval: "month" });
  expect(tables[0]?.partitionBy).toEqual({
    column: "occurred_at",
    interval: "month",
    retain: "30 days",
  });
  expect(() => nightwatch({ retain: "30" as "30 days" })).toThrow("partitionBy.retain");
});

describe("a captured record", () => {
  test.each(copied.map((sample, index) => [sample.t, index, sample] as const))(
    "%s (%i) keeps every field in exactly one column, unchanged",
    (type, _, sample) => {
      const columns = Object.values(tableFor(type).columns);
      const line = router.route(sample).encode(sample, meta);
      const cells = decodeCopyLine(line);
      expect(cells).toHaveLength(columns.length + 3);
      expect(cells.slice(-3)).toEqual(["2026-11-23 04:36:27.000000+00", "web", null]);

      for (const [field, value] of Object.entries(sample)) {
        if (field === "t") continue;
        const places = columns.flatMap((column, at) => (column.field === field ? [at] : []));
        expect({ field, places: places.length }).toEqual({ field, places: 1 });
        const at = places[0] as number;
        const column = columns[at] as ColumnDefinition;
        const cell = cells[at] as string | null;
        const actual = column.type === "text[]" ? decodeArray(cell ?? "") : cell;
        expect({ field, value: actual }).toEqual({
          field,
          value: expectedCell(field, value, column),
        });
      }
      const sent = new Set(Object.keys(sample));
      expect(columns.filter(({ field }) => !sent.has(field))).toEqual([]);
    },
  );

  test("of a user lands in nightwatch_users, and nowhere else", () => {
    const upserts = compileUpserts(schema);
    const groups = upserts.createGroups();
    for (const sample of samples.filter(({ t }) => t === "user")) {
      expect(router.route(sample)).toMatchObject({ name: "nightwatch_users", copySql: undefined });
      expect(router.route(sample).encode(sample, meta)).toBe("");
      upserts.collect(groups, sample, meta);
    }
    const statements = upserts.statements(groups);
    expect(statements).toHaveLength(1);
    expect(statements[0]?.text).toContain('INSERT INTO "nightwatch_users"');
    const [tokens, ids, sightings, , , names, usernames, versions, unknown] =
      statements[0]?.values ?? [];
    expect(tokens).toEqual(["web", "web", "web"]);
    const users = new Map(ids?.map((id, row) => [id, [names?.[row], usernames?.[row]]]));
    for (const sample of samples.filter(({ t }) => t === "user")) {
      expect(users.get(String(sample["id"]))).toEqual([sample["name"], sample["username"]]);
    }
    expect(sightings).toEqual(["1", "1", "1"]);
    expect(versions).toEqual(["1", "1", "1"]);
    expect(unknown).toEqual([null, null, null]);
  });

  test("with a field from a newer client keeps it", () => {
    for (const { match, columns } of schema.tables) {
      const record = { ...sampleOf(match.t), from_the_future: { a: [1] } };
      const cells = decodeCopyLine(router.route(record).encode(record, meta));
      expect(cells[Object.keys(columns).length + 2]).toBe('{"from_the_future":{"a":[1]}}');
    }
  });

  test("of an older client, with only type and timestamp, lands", () => {
    for (const { match, columns } of schema.tables) {
      const record = { t: match.t, timestamp: 1_700_000_000 };
      const cells = decodeCopyLine(router.route(record).encode(record, meta));
      expect(cells[0]).toBe("2023-11-14 22:13:20.000000+00");
      expect(new Set(cells.slice(1, Object.keys(columns).length))).toEqual(new Set([null]));
    }
  });
});

describe("a wrong value", () => {
  const WRONG: Record<string, unknown[]> = {
    text: [5, true, [], {}, "a\0", "\ud83d"],
    integer: ["5", 1.5, 2 ** 31, -(2 ** 31) - 1, true, []],
    bigint: ["5", 1.5, 2 ** 53, -(2 ** 53), true, {}],
    boolean: [0, 1, "true", "", []],
    timestamptz: ["1795408587", 1e300, -1e12, true, {}],
    "text[]": ["GET", [5], [null], ["\0"], {}],
  };
  const places = [
    ...schema.tables.map(({ name, match, columns }) => ({ name, types: [match.t], columns })),
    ...schema.upserts.map(({ name, match, key, latest }) => ({
      name,
      types: match.t,
      columns: { ...key, ...latest },
    })),
  ].flatMap(({ name, types, columns }) =>
    Object.entries(columns).map(([column, definition]) => ({ name, types, column, definition })),
  );

  test("covers every column", () => {
    expect(places.length).toBeGreaterThan(240);
  });

  test.each(places.map((place) => [`${place.name}.${place.column}`, place] as const))(
    "in %s is refused with the name of the field",
    (_, { types, column, definition: { type, field } }) => {
      const wrong = WRONG[type] ?? [];
      expect(wrong.length).toBeGreaterThan(0);
      for (const t of types) {
        // The last type's table may call the column otherwise: both name the field.
        const ownColumn = Object.entries(
          schema.tables.find(({ match }) => match.t === t)?.columns ?? {},
        ).find(([, definition]) => definition.field === field)?.[0];
        for (const value of wrong) {
          const record = { ...sampleOf(t), [field]: value };
          const encode = () => router.route(record).encode(record, meta);
          expect(encode).toThrow(RecordRefused);
          expect(encode).toThrow(
            expect.objectContaining({ field, column: ownColumn ?? column }) as Error,
          );
        }
      }
    },
  );

  test("of a timestamp that is missing is refused", () => {
    for (const { t } of new Map(samples.map((sample) => [sample.t, sample])).values()) {
      const { timestamp: _, ...record } = sampleOf(t);
      expect(() => router.route(record).encode(record, meta)).toThrow("timestamp: missing");
      const nulled = { ...record, timestamp: null };
      expect(() => router.route(nulled).encode(nulled, meta)).toThrow("timestamp: missing");
    }
  });
});

test("names of columns are those that people query", () => {
  const renamed = new Map<string, string>();
  for (const { columns } of schema.tables) {
    for (const [column, { field }] of Object.entries(columns)) {
      if (column !== field) renamed.set(field, column);
    }
  }
  expect(Object.fromEntries(renamed)).toEqual({
    timestamp: "occurred_at",
    v: "record_version",
    _group: "group_hash",
    user: "user_id",
    duration: "duration_us",
    bootstrap: "bootstrap_us",
    before_middleware: "before_middleware_us",
    action: "action_us",
    render: "render_us",
    after_middleware: "after_middleware_us",
    sending: "sending_us",
    terminating: "terminating_us",
    request_size: "request_size_bytes",
    response_size: "response_size_bytes",
    peak_memory_usage: "peak_memory_usage_bytes",
    ttl: "ttl_seconds",
    to: "to_count",
    cc: "cc_count",
    bcc: "bcc_count",
    attachments: "attachment_count",
  });
});

describe("upserts of the captured records", () => {
  const upserts = compileUpserts(schema);
  const groups = upserts.createGroups();
  for (const sample of samples) upserts.collect(groups, sample, meta);
  const valuesOf = (table: string) =>
    upserts.statements(groups).find(({ text }) => text.startsWith(`INSERT INTO "${table}"`))
      ?.values ?? [];

  test("group exceptions into issues by their fingerprint", () => {
    const exceptions = samples.filter(({ t }) => t === "exception");
    const [, fingerprints, occurrences, handled, unhandled] = valuesOf("nightwatch_issues");
    expect(fingerprints).toEqual(
      [...new Set(exceptions.map((one) => String(one["_group"])))].toSorted(),
    );
    const sum = (counts: Array<string | null> | undefined) =>
      (counts ?? []).reduce((total, count) => total + Number(count), 0);
    expect(sum(occurrences)).toBe(exceptions.length);
    expect(sum(handled)).toBe(exceptions.filter((one) => one["handled"] === true).length);
    expect(sum(unhandled)).toBe(exceptions.filter((one) => one["handled"] === false).length);
  });

  test("count what each user did, and nothing for guests", () => {
    const counted = ["request", "exception", "job-attempt", "queued-job", "log"];
    const [, users, ...counts] = valuesOf("nightwatch_user_counters");
    const expected = Map.groupBy(
      samples.filter(({ t, user }) => counted.includes(t) && user !== ""),
      ({ user }) => user as string,
    );
    expect(users).toEqual([...expected.keys()].toSorted());
    for (const [row, user] of (users ?? []).entries()) {
      const own = expected.get(user ?? "") ?? [];
      expect(counts.slice(0, 5).map((column) => Number(column[row]))).toEqual(
        counted.map((type) => own.filter(({ t }) => t === type).length),
      );
    }
  });
});
