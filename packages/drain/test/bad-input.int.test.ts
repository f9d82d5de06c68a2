import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { nightwatch } from "@millrace/drain/nightwatch";
import { describe, expect, it } from "vitest";
import { deadLetters, emptyDatabase } from "./fixtures/empty-database.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { log, request } from "./fixtures/telemetry.ts";

const MIB = 1024 * 1024;

interface BadInput {
  what: string;
  /** A payload as it is sent. */
  payload: Uint8Array;
  code: string;
  /** The text of the dead letter; the payload when it is not given. */
  content?: string;
  reason: RegExp;
}

function badRecord(what: string, record: string, reason: RegExp): BadInput {
  const payload = Buffer.from(
    `[${JSON.stringify(log("before"))}, ${record} ,${JSON.stringify(log("after"))}]`,
  );
  return { what, payload, code: "record_invalid", content: record, reason };
}

const moment = '"timestamp":1767225600';
const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
const bomb = gzipSync(Buffer.alloc(128 * MIB, 0x20), { level: 9 });

const BAD_INPUTS: BadInput[] = [
  badRecord("U+0000", String.raw`{"t":"log",${moment},"message":"a\u0000b"}`, /U\+0000/),
  badRecord("U+0000 in a key", String.raw`{"t":"new",${moment},"a\u0000b":1}`, /U\+0000/),
  badRecord(
    "half a surrogate pair",
    String.raw`{"t":"log",${moment},"message":"\ud83d!"}`,
    /surrogate/,
  ),
  badRecord("12.5 for an integer", `{"t":"mail",${moment},"to":12.5}`, /integer.*12\.5/),
  badRecord("3e9 for an integer", `{"t":"mail",${moment},"to":3e9}`, /3000000000/),
  badRecord("2^53+1", `{"t":"mail",${moment},"duration":9007199254740993}`, /not exact/),
  badRecord(
    "2^53+1 in an unknown type",
    `{"t":"new",${moment},"id":9007199254740993}`,
    /not exact/,
  ),
  badRecord("a number beyond any", `{"t":"query",${moment},"duration":1e999}`, /integer/),
  badRecord("a moment beyond any", `{"t":"log","timestamp":1e18}`, /years 1 to 9999/),
  badRecord("no moment", `{"t":"log","message":"when?"}`, /timestamp: missing/),
  badRecord("text like NaN", `{"t":"query",${moment},"duration":"NaN"}`, /NaN/),
  badRecord("deep nesting", `{"t":"new",${moment},"x":${deep}}`, /nested more than|call stack/),
  badRecord("a number", "17", /expected an object, got 17/),
  badRecord("null", "null", /expected an object, got null/),
  badRecord("a string", '"t"', /expected an object/),
  badRecord("an array", `[${JSON.stringify(log("inner"))}]`, /expected an object, got an array/),
  { what: "an object", payload: Buffer.from("{}"), code: "not_array", reason: /JSON object/ },
  { what: "null", payload: Buffer.from("null"), code: "not_array", reason: /JSON null/ },
  { what: "not JSON", payload: Buffer.from('[{"t":'), code: "json_invalid", reason: /not JSON/ },
  { what: "NaN", payload: Buffer.from("[NaN]"), code: "json_invalid", reason: /not JSON/ },
  { what: "bytes", payload: Buffer.from([0, 1, 2, 255]), code: "utf8_invalid", reason: /UTF-8/ },
  {
    what: "cut gzip",
    payload: gzipSync("[1]").subarray(0, 15),
    code: "gzip_invalid",
    reason: /inflate/,
  },
  {
    what: "a gzip bomb",
    payload: bomb,
    code: "inflates_too_large",
    reason: /more than 67108864 bytes/,
  },
];

describe("bad input", () => {
  it("becomes dead letters with code, reason and exact bytes, and every neighbour lands", async () => {
    expect(bomb.length * 1_000).toBeLessThan(128 * MIB);
    const database = await emptyDatabase();
    const { append, drained, pool, logger } = await runPool(
      { url: database.url },
      { schema: nightwatch() },
    );
    for (const [index, { payload }] of BAD_INPUTS.entries())
      await append([request(index)], payload);
    await append([request(BAD_INPUTS.length)]);
    await drained();

    const letters = await deadLetters(database);
    expect(letters).toHaveLength(BAD_INPUTS.length);
    for (const [index, { what, payload, code, content, reason }] of BAD_INPUTS.entries()) {
      const letter = letters[index];
      expect([what, letter?.code]).toEqual([what, code]);
      expect(Number(letter?.payload_id)).toBe(2 * index + 2);
      expect(letter?.record_index).toBe(content === undefined ? null : 1);
      expect(letter?.reason).toMatch(reason);
      const expected = content === undefined ? Buffer.from(payload) : Buffer.from(content);
      expect([what, letter?.content.equals(expected)]).toEqual([what, true]);
    }
    const [rows] = await database.query(
      `SELECT (SELECT count(*)::int FROM nightwatch_requests) AS requests,
         (SELECT count(*)::int FROM nightwatch_logs) AS logs`,
    );
    const neighbours = BAD_INPUTS.filter(({ content }) => content !== undefined).length * 2;
    expect(rows).toEqual({ requests: BAD_INPUTS.length + 1, logs: neighbours });
    expect(pool.status()).toMatchObject({ deadLetters: BAD_INPUTS.length, workerDeaths: 0 });
    expect(logger.lines.length).toBeLessThanOrEqual(2);
  });

  it("of the wrong type is refused by every column of every table, and by no other", async () => {
    const database = await emptyDatabase();
    const { append, drained } = await runPool({ url: database.url }, { schema: nightwatch() });
    const good = log("good");
    const expected: string[] = [];
    for (const { name, match, columns } of nightwatch().tables) {
      const records: unknown[] = [good];
      for (const [column, { field, type }] of Object.entries(columns)) {
        for (const value of WRONG_VALUES[type] ?? []) {
          records.push({ t: match.t, timestamp: 1_767_225_600, [field]: value }, good);
          expected.push(`${name}.${column}`);
        }
      }
      await append(records);
    }
    await drained();
    const letters = await deadLetters(database);
    const found = letters.map(({ destination, reason }) => {
      const column = /\(column (\w+)\)/.exec(reason)?.[1] ?? /^(\w+):/.exec(reason)?.[1];
      return `${destination}.${column}`;
    });
    expect(found).toEqual(expected);
    expect(expected.length).toBeGreaterThan(500);
    const [row] = await database.query("SELECT count(*)::int AS rows FROM nightwatch_logs");
    expect(row).toEqual({ rows: expected.length + nightwatch().tables.length });
  });

  it("that is none lands: gzip, [], types unknown, missing or no string, 16 MB in one field", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool({ url: database.url });
    const long = "é".repeat(8 * MIB);
    await append(
      gzipSync(JSON.stringify([request(1)])),
      [],
      [{ t: "new", timestamp: 1_767_225_600.5 }, { t: 7 }, { t: null }, {}, { t: "__proto__" }],
      [log(long)],
      Buffer.from(' [ \n{"t":"log","timestamp":1767225600,"message":"spaces"}\t]\r\n'),
    );
    await drained();
    expect(await deadLetters(database)).toEqual([]);
    expect(
      await database.query("SELECT record FROM millrace_events ORDER BY record->>'t'"),
    ).toHaveLength(5);
    expect(
      await database.query(
        "SELECT md5(message) = md5($1) AS same FROM nightwatch_logs WHERE length(message) > 9",
        [long],
      ),
    ).toEqual([{ same: true }]);
    expect(pool.status()).toMatchObject({ payloads: 5, records: 8, deadLetters: 0 });
  });

  it("too long for an index is a dead letter, and no wedge", async () => {
    const database = await emptyDatabase();
    const { append, drained } = await runPool({ url: database.url });
    // No compressing brings that down to the 2,704 bytes that an index row may have. Longer, and the
    // server is busy for seconds with trying to: once for the row and once for the index, at each try.
    const long = randomBytes(64 * 1024).toString("hex");
    await append([request(1), request(2, { trace_id: long }), request(3)]);
    await append([log("after")]);
    await drained();
    const [letter, ...more] = await deadLetters(database);
    expect(more).toEqual([]);
    expect(letter).toMatchObject({
      code: "sqlstate_54000",
      record_index: 1,
      destination: "nightwatch_requests",
    });
    expect(letter?.content.toString()).toBe(JSON.stringify(request(2, { trace_id: long })));
    expect(await database.query("SELECT trace_id FROM nightwatch_requests ORDER BY 1")).toEqual([
      { trace_id: "trace-1" },
      { trace_id: "trace-3" },
    ]);
  });

  it("in tens of thousands of pieces is no more than that many rows", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool({ url: database.url });
    const count = 30_000;
    await append(Buffer.from(`[${"0,".repeat(count)}${JSON.stringify(log("last"))}]`));
    await drained();
    expect(pool.status()).toMatchObject({ deadLetters: count, records: 1, workerDeaths: 0 });
    const [row] = await database.query(
      "SELECT count(*)::int AS letters, count(DISTINCT record_index)::int AS places FROM millrace_dead_letters",
    );
    expect(row).toEqual({ letters: count, places: count });
  });
});

/** What a column of each type must not take. */
const WRONG_VALUES: Record<string, unknown[]> = {
  text: [7, true, {}, ["a"], "a\0b", "\ud800"],
  integer: ["7", 7.5, 3e9, -3e9, true, {}, [7]],
  bigint: ["7", 7.5, 2 ** 53, -(2 ** 53), false, {}, []],
  boolean: [0, 1, "true", {}, []],
  timestamptz: ["2026-01-01", 1e15, -1e15, true, {}],
  "text[]": ["GET", {}, [1], ["a\0"], [["a"]]],
};

it("the wrong values name every type that the tables have", () => {
  const types = nightwatch().tables.flatMap(({ columns }) =>
    Object.values(columns).map(({ type }) => type),
  );
  expect(new Set(Object.keys(WRONG_VALUES))).toEqual(new Set(types));
});
