import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../../test/setup/database.ts";
import { compileTable } from "../../src/encode/compiled-table.ts";
import { compileRouter } from "../../src/encode/router.ts";
import { nightwatch } from "../../src/nightwatch/index.ts";
import * as column from "../../src/schema/columns.ts";
import { tableStatements } from "../../src/schema/ddl.ts";
import { quoteIdentifier } from "../../src/schema/identifier.ts";
import { defineTable } from "../../src/schema/table.ts";
import { compileUpserts } from "../../src/upsert/compiled-upserts.ts";
import { copyIn } from "../../src/write/copy.ts";
import { readSamples } from "./samples.ts";

const schema = nightwatch();
const meta = { receivedAt: 1_795_408_587_123, token: "web" };
let database: TestDatabase;
let client: Client;

async function connect(): Promise<Client> {
  const connection = new Client({ connectionString: database.url });
  await connection.connect();
  return connection;
}

async function copyRecords(records: Array<Record<string, unknown>>): Promise<void> {
  const router = compileRouter(schema);
  for (const [table, own] of Map.groupBy(records, (record) => router.route(record))) {
    const lines = own.map((record) => table.encode(record, meta));
    if (table.copySql !== undefined) await copyIn(client, table.copySql, lines.join(""));
  }
}

/** Microseconds since 1970, exactly. */
function microseconds(name: string): string {
  return `(extract(epoch FROM ${quoteIdentifier(name)}) * 1000000)::bigint::text`;
}

beforeAll(async () => {
  database = await createTestDatabase();
  client = await connect();
  for (const statement of tableStatements(schema)) await client.query(statement);
});

afterAll(async () => {
  await client?.end();
  await database?.drop();
});

test("the statements that make the tables may run again, and add what is missing", async () => {
  await client.query("ALTER TABLE nightwatch_logs DROP COLUMN extra");
  for (const statement of tableStatements(schema)) await client.query(statement);
  const { rows } = await client.query<{ type: string }>(
    `SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = 'nightwatch_logs'::regclass AND attname = 'extra'`,
  );
  expect(rows).toEqual([{ type: "text" }]);
});

describe("the captured records", () => {
  const samples = readSamples();
  beforeAll(() => copyRecords(samples));

  test.each(schema.tables.map((table) => [table.name, table] as const))(
    "of %s read back as they were sent",
    async (name, { match, columns }) => {
      const sent = samples.filter(({ t }) => t === match.t);
      const list = Object.entries(columns).map(([one, { type }]) => {
        const value = type === "timestamptz" ? microseconds(one) : quoteIdentifier(one);
        return `${value} AS ${quoteIdentifier(one)}`;
      });
      const { rows } = await client.query<Record<string, unknown>>(
        `SELECT ${list.join(", ")} FROM ${quoteIdentifier(name)} ORDER BY ctid`,
      );
      const expected = sent.map((record) =>
        Object.fromEntries(
          Object.entries(columns).map(([one, { type, field }]) => {
            const value = record[field];
            if (type === "timestamptz") return [one, String(Math.round((value as number) * 1e6))];
            // node-postgres returns bigint as a string.
            if (type === "bigint") return [one, String(value)];
            return [one, field === "user" && value === "" ? null : value];
          }),
        ),
      );
      expect(sent.length).toBeGreaterThan(0);
      expect(rows).toEqual(expected);

      const own = await client.query<Record<string, unknown>>(
        `SELECT DISTINCT ${microseconds("received_at")} AS received_at, token, unknown_fields
         FROM ${quoteIdentifier(name)}`,
      );
      expect(own.rows).toEqual([
        { received_at: "1795408587123000", token: "web", unknown_fields: null },
      ]);
    },
  );

  test("of unknown types and fields are kept as jsonb", async () => {
    const event = {
      t: "ai-event",
      timestamp: 1_795_408_117.0889642,
      a: ["\\", "\n", 'q"'],
      b: null,
    };
    const log = { t: "log", timestamp: 1, later: { "\t": "\\u0041" } };
    await copyRecords([event, { no: "type" }, log]);
    const events = await client.query<Record<string, unknown>>(
      `SELECT type, ${microseconds("occurred_at")} AS occurred_at, token, record
       FROM millrace_events ORDER BY ctid`,
    );
    expect(events.rows).toEqual([
      { type: "ai-event", occurred_at: "1795408117088964", token: "web", record: event },
      { type: null, occurred_at: null, token: "web", record: { no: "type" } },
    ]);
    const logs = await client.query(
      "SELECT unknown_fields FROM nightwatch_logs WHERE occurred_at < '1971-01-01'",
    );
    expect(logs.rows).toEqual([{ unknown_fields: { later: { "\t": "\\u0041" } } }]);
  });
});

test("values at the edge of every type are taken by the server and come back", async () => {
  const table = defineTable("edges", {
    match: { t: "edge" },
    columns: {
      text: column.text("text"),
      integer: column.integer("integer"),
      bigint: column.bigint("bigint"),
      boolean: column.boolean("boolean"),
      double: column.double("double"),
      timestamptz: column.timestamptz("timestamptz"),
      jsonb: column.jsonb("jsonb"),
      text_array: column.textArray("text_array"),
      uuid: column.uuid("uuid"),
    },
  });
  for (const statement of tableStatements({ tables: [table], upserts: [] })) {
    await client.query(statement);
  }
  const deep: unknown = JSON.parse(`${"[".repeat(1_000)}1${"]".repeat(1_000)}`);
  const strings = [
    "",
    "\\N",
    "\\.",
    "NULL",
    "{}",
    '{"a"}',
    "a\\",
    "\t\n\r\b\f\v\u0001",
    "\u2028é🎉\uFFFD",
    "'; --",
  ];
  const records = [
    ...strings.map((text) => ({ text, text_array: [text, ...strings], jsonb: { [text]: text } })),
    { integer: -(2 ** 31), bigint: -(2 ** 53) + 1, double: Number.MIN_VALUE, boolean: true },
    { integer: 2 ** 31 - 1, bigint: 2 ** 53 - 1, double: Number.MAX_VALUE, boolean: false },
    { double: 0.1 + 0.2, uuid: "5a1e405d-e6de-4a2e-be11-0168062e8ce5", text_array: [] },
    { double: -0, integer: 0 },
    { timestamptz: -62_135_596_800 },
    { timestamptz: 253_402_300_799 },
    { timestamptz: -0.000001 },
    { jsonb: deep },
    { jsonb: [Number.MAX_VALUE / 1e300, 1e-300, false, "x", {}, [null]] },
  ];
  const compiled = compileTable(table);
  await copyIn(
    client,
    compiled.copySql ?? "",
    records.map((record) => compiled.encode(record, meta)).join(""),
  );
  const { rows } = await client.query<Record<string, unknown>>(
    `SELECT text, "integer", "bigint", "boolean", "double", ${microseconds("timestamptz")} AS timestamptz,
       "jsonb", text_array, uuid FROM edges ORDER BY ctid`,
  );
  const read = rows.map((row) =>
    Object.fromEntries(
      Object.entries(row)
        .filter(([, value]) => value !== null)
        .map(([name, value]) => {
          if (name === "bigint") return [name, Number(value)];
          return [name, name === "timestamptz" ? Number(value) / 1e6 : value];
        }),
    ),
  );
  expect(read).toEqual(records);
});

describe("upserts", () => {
  const keys = Array.from({ length: 300 }, (_, index) => `key-${index}-é🎉`);

  function recordsOf(batch: number): Array<Record<string, unknown>> {
    const shuffled = keys
      .map((key) => ({ key, order: Math.random() }))
      .toSorted((left, right) => left.order - right.order);
    return shuffled.flatMap(({ key }, index) => {
      const timestamp = 1_795_000_000 + batch * 1_000 + index + 0.000001;
      const own = { timestamp, user: key, trace_id: `trace-${batch}`, _group: key };
      return [
        { t: "exception", ...own, handled: batch % 2 === 0, message: `m${batch}`, line: batch },
        { t: "request", ...own },
        { t: "user", timestamp, id: key, name: `n${batch}`, username: "" },
      ];
    });
  }

  test("of two drains at once, each in its own order of keys, neither deadlock nor lose a count", async () => {
    const batches = 20;
    const moments = new Map<string, number[]>();
    const latest = new Map<string, number>();
    const drain = async (connection: Client, parity: number) => {
      const upserts = compileUpserts(schema);
      const router = compileRouter(schema);
      for (let batch = parity; batch < batches; batch += 2) {
        const groups = upserts.createGroups();
        for (const record of recordsOf(batch)) {
          router.route(record).encode(record, meta);
          upserts.collect(groups, record, meta);
          if (record["t"] !== "exception") continue;
          const key = String(record["_group"]);
          moments.set(key, [...(moments.get(key) ?? []), Number(record["timestamp"])]);
          latest.set(key, Math.max(latest.get(key) ?? 0, batch));
        }
        await connection.query("BEGIN");
        for (const { text, values } of upserts.statements(groups)) {
          await connection.query(text, values);
        }
        await connection.query("COMMIT");
      }
    };
    const connections = await Promise.all([connect(), connect()]);
    try {
      await Promise.all(connections.map(drain));
    } finally {
      await Promise.all(connections.map((connection) => connection.end()));
    }

    const issues = await client.query<Record<string, unknown>>(
      `SELECT fingerprint, occurrences, handled_count, unhandled_count, message, line, last_trace_id,
         ${microseconds("first_seen_at")} AS first, ${microseconds("last_seen_at")} AS last
       FROM nightwatch_issues ORDER BY fingerprint COLLATE "C"`,
    );
    expect(issues.rows).toEqual(
      keys.toSorted().map((key) => ({
        fingerprint: key,
        occurrences: "20",
        handled_count: "10",
        unhandled_count: "10",
        message: `m${latest.get(key)}`,
        line: latest.get(key),
        last_trace_id: `trace-${latest.get(key)}`,
        first: String(Math.round(Math.min(...(moments.get(key) ?? [])) * 1e6)),
        last: String(Math.round(Math.max(...(moments.get(key) ?? [])) * 1e6)),
      })),
    );
    const counters = await client.query<Record<string, unknown>>(
      `SELECT requests, exceptions, job_attempts, queued_jobs, logs, count(*)::integer AS users
       FROM nightwatch_user_counters GROUP BY 1, 2, 3, 4, 5`,
    );
    expect(counters.rows).toEqual([
      {
        requests: "20",
        exceptions: "20",
        job_attempts: "0",
        queued_jobs: "0",
        logs: "0",
        users: 300,
      },
    ]);
    const users = await client.query<Record<string, unknown>>(
      "SELECT name, username, sightings, unknown_fields, count(*)::integer AS users FROM nightwatch_users GROUP BY 1, 2, 3, 4",
    );
    expect(users.rows).toEqual([
      { name: "n19", username: "", sightings: "20", unknown_fields: null, users: 300 },
    ]);
  });

  test("that arrive late count, but do not overwrite what is newer", async () => {
    const upserts = compileUpserts(schema);
    for (const [timestamp, name] of [
      [50, "newer"],
      [20, "older"],
    ] as const) {
      const groups = upserts.createGroups();
      const record = { t: "user", timestamp, id: "late", name, username: name, seen: timestamp };
      upserts.collect(groups, record, meta);
      for (const { text, values } of upserts.statements(groups)) await client.query(text, values);
    }
    const { rows } = await client.query(
      `SELECT name, username, sightings, unknown_fields, ${microseconds("first_seen_at")} AS first,
         ${microseconds("last_seen_at")} AS last FROM nightwatch_users WHERE id = 'late'`,
    );
    expect(rows).toEqual([
      {
        name: "newer",
        username: "newer",
        sightings: "2",
        unknown_fields: { seen: 50 },
        first: "20000000",
        last: "50000000",
      },
    ]);
  });

  test("keep apart what two tokens send for one key", async () => {
    const upserts = compileUpserts(schema);
    const groups = upserts.createGroups();
    const record = { t: "exception", timestamp: 1, _group: "shared", message: '\\ {} " NULL' };
    for (const token of ["b", "a", "b"]) upserts.collect(groups, record, { ...meta, token });
    for (const { text, values } of upserts.statements(groups)) await client.query(text, values);
    const { rows } = await client.query(
      "SELECT token, occurrences, message FROM nightwatch_issues WHERE fingerprint = 'shared' ORDER BY token",
    );
    const { message } = record;
    expect(rows).toEqual([
      { token: "a", occurrences: "1", message },
      { token: "b", occurrences: "2", message },
    ]);
  });
});
