import {
  bigint,
  boolean,
  defineTable,
  defineUpsert,
  double,
  integer,
  jsonb,
  text,
  textArray,
  timestamptz,
  timestamptzNanoseconds,
  uuid,
} from "@millrace/drain";
import { readRecords } from "@millrace/load";
import { nightwatch } from "@millrace/drain/nightwatch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { claimedBatch } from "../fixtures/claimed-batch.ts";
import { bothWays } from "./both-ways.ts";

/** Every type of column, twice the same field, a field named t, required ones, and what is merged. */
const everything = bothWays({
  tables: [
    defineTable("all_types", {
      match: { t: "all" },
      columns: {
        type: text("t"),
        at: timestamptz("at", { required: true }),
        nanoseconds: timestamptzNanoseconds("nanoseconds"),
        words: text("words"),
        same_words: text("words", { emptyAsNull: true }),
        small: integer("small"),
        large: bigint("large"),
        ratio: double("ratio"),
        flag: boolean("flag"),
        list: textArray("list"),
        anything: jsonb("anything"),
        id: uuid("id"),
        quoted: text('a "quoted" näme'),
      },
    }),
    defineTable("needs_words", {
      match: { t: "needs" },
      columns: { words: text("words", { required: true, emptyAsNull: true }) },
    }),
  ],
  upserts: [
    defineUpsert("counted", {
      match: { t: ["all", "merged only"] },
      key: { words: text("words", { emptyAsNull: true }) },
      occurredAt: "at",
      counts: { flagged: { flag: true }, all: {} },
      latest: { small: integer("small"), other: text("other") },
    }),
  ],
});
const telemetry = bothWays(nightwatch());

function expectSame(ways: typeof everything, payloads: ReadonlyArray<string | Uint8Array>): void {
  const batch = claimedBatch(payloads);
  expect(ways.scanning(batch)).toEqual(ways.recordByRecord(batch));
}

/** Texts of JSON values, right and wrong ones, in ways that writers of JSON differ. */
const number = fc.oneof(
  fc.integer().map(String),
  fc.maxSafeInteger().map(String),
  fc.double().map(String),
  fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }).map(String),
  fc
    .tuple(fc.nat(4_294_967_296), fc.stringMatching(/^\d{1,9}$/))
    .map(([seconds, fraction]) => `${seconds}.${fraction}`),
  fc.constantFrom(
    "-0",
    "0",
    "-0.0",
    "1.0",
    "1e3",
    "1E-2",
    "01",
    "1.",
    ".5",
    "-",
    "+1",
    "1e",
    "0x1",
  ),
  fc.stringMatching(/^-?\d{1,20}(\.\d{1,4})?$/),
);
const string = fc.oneof(
  fc.string({ unit: "binary" }).map((value) => JSON.stringify(value)),
  fc.string({ unit: "grapheme" }).map(asPhpWrites),
  fc.string().map(asPhpWrites),
  fc.constantFrom(
    '""',
    '"\\u0000"',
    '"\\ud83d\\ude00"',
    '"\\ud83d"',
    '"\\ude00\\ud83d"',
    '"\\u00e9\\u20ac\\u0041\\u005C\\u005c"',
    '"\\u001f\\u0009"',
    '"\\b\\f\\n\\r\\t\\/\\\\\\""',
    '"\\x"',
    '"\\u12"',
    '"\\',
    '"tab\tin it"',
    '"f47ac10b-58cc-4372-a567-0e02b2c3d479"',
    '"1767225600123456789"',
  ),
);
const list = fc.array(fc.oneof({ weight: 4, arbitrary: string }, number), { maxLength: 3 });
const value = fc.oneof(
  { weight: 4, arbitrary: number },
  { weight: 4, arbitrary: string },
  fc.constantFrom("true", "false", "null", "nul", "truefalse", "{}", "[]", "[[]]", '{"a":[1]}', ""),
  list.map((elements) => `[${elements.join(",")}]`),
  list.map((elements) => `[${elements.join(",")},]`),
  list.map((elements) => `[ ${elements.join(" , ")} ]`),
);
const name = fc.constantFrom(
  "at",
  "nanoseconds",
  "words",
  "small",
  "large",
  "ratio",
  "flag",
  "list",
  "anything",
  "id",
  "other",
  "t",
  "unknown",
  "__proto__",
  "wor\\u0064s",
  'a \\"quoted\\" näme',
);
const typed = fc.constantFrom(
  '"t":"all"',
  '"t":"all"',
  '"t":"needs"',
  '"t":"merged only"',
  '"t":"?"',
);
const moment = fc.constantFrom('"at":1767225600.123456', '"at":1767225600', '"at":"x"');
/** Records that land, most of them. */
const goodRecord = fc
  .record(
    {
      at: fc.nat(4_000_000_000).map((seconds) => seconds / 2),
      words: fc.oneof(fc.string(), fc.string({ unit: "grapheme" }), fc.constant("")),
      small: fc.integer(),
      large: fc.maxSafeInteger(),
      ratio: fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer()),
      flag: fc.oneof(fc.boolean(), fc.constant(null)),
      list: fc.array(fc.string()),
      anything: fc.jsonValue(),
      id: fc.uuid(),
      nanoseconds: fc.bigInt({ min: 0n, max: 10n ** 21n }).map(String),
    },
    { requiredKeys: ["at"] },
  )
  .map((fields) => {
    const members = Object.entries({ t: "all", ...fields }).map(
      ([key, field]) =>
        `"${key}":${typeof field === "string" ? asPhpWrites(field) : JSON.stringify(field)}`,
    );
    return `{${members.join(",")}}`;
  });
const record = fc.oneof(
  { weight: 20, arbitrary: goodRecord },
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.array(fc.oneof(typed, moment), { minLength: 1, maxLength: 2 }),
        fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key, maxLength: 6 }),
        fc.constantFrom(",", ",", ",", " , "),
      )
      .map(([known, fields, comma]) => {
        const members = fields.map(([key, written]) => `"${key}":${written}`);
        return `{${[...known, ...members].join(comma)}}`;
      }),
  },
  { weight: 1, arbitrary: fc.constantFrom("{}", "1", "null", "[]", '{"t":"all"', "", " {} ") },
);
const payload = fc
  .tuple(fc.array(record, { maxLength: 4 }), fc.constantFrom(",", ",", ",", ", "))
  .map(([records, comma]) => `[${records.join(comma)}]`);

/** As PHP's json_encode does: slashes escaped, and all that is not ASCII. */
function asPhpWrites(content: string): string {
  return JSON.stringify(content)
    .replaceAll("/", String.raw`\/`)
    .replace(
      /[\u0080-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}

describe("records that are scanned land as those that are parsed do", () => {
  it("whatever their values are, and however they are written", () => {
    fc.assert(
      fc.property(fc.array(payload, { maxLength: 5 }), (payloads) =>
        expectSame(everything, payloads),
      ),
      { numRuns: 1_000 },
    );
  });

  it("when bytes of real records are changed, lost or doubled", () => {
    const records = readRecords().filter(({ length }) => length < 1_500);
    const change = fc.tuple(
      fc.nat(),
      fc.constantFrom("replace", "remove", "insert", "double"),
      fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('"\\,:{}[]0 -.u/'))),
    );
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...records), { minLength: 1, maxLength: 3 }),
        fc.array(change, { maxLength: 2 }),
        (chosen, changes) => {
          let bytes = Buffer.from(`[${chosen.join(",")}]`);
          for (const [place, kind, byte] of changes) {
            const at = place % bytes.length;
            const rest = bytes.subarray(kind === "replace" || kind === "remove" ? at + 1 : at);
            const between = kind === "remove" ? [] : kind === "double" ? [bytes[at] ?? 0] : [byte];
            bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(between), rest]);
          }
          expectSame(telemetry, [bytes]);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it.each([1, 2_000, 1_000_000])("in segments of %d characters", (segmentLength) => {
    const batch = claimedBatch([`[${readRecords().join(",")}]`, "{", "[]", '[{"t":"log"},1,{}]']);
    expect(telemetry.scanning(batch, segmentLength)).toEqual(telemetry.recordByRecord(batch));
  });
});

it("nearly all real records are scanned, and none of them needs a second look", () => {
  const records = readRecords().filter((one) => !one.includes('"t":"user"'));
  const plain = telemetry.taken(Buffer.from(`[${records.join(",")}]`));
  expect(plain).toEqual({ plain: records.length, records: records.length });
});

it("records whose fields change their order are scanned all the same", () => {
  const payloadOf = (fields: string[]) => Buffer.from(`[{${fields.join(",")}}]`);
  const fields = ['"words":"a"', '"at":1767225600', '"t":"all"', '"small":1', '"flag":true'];
  for (const order of [fields, fields.toReversed(), fields, fields.slice(0, 3)]) {
    expect(everything.taken(payloadOf(order))).toEqual({ plain: 1, records: 1 });
    expectSame(everything, [payloadOf(order)]);
  }
});

it("takes no payload of more than a worker may read at once, nor one that is not UTF-8", () => {
  const large = `[{"t":"all","at":1,"words":"${" ".repeat(300_000)}"}]`;
  const invalid = Buffer.from('[{"t":"all","at":1,"words":"\xff"}]', "latin1");
  expect(everything.taken(Buffer.from(large))).toBeUndefined();
  expect(everything.taken(invalid)).toBeUndefined();
  expectSame(everything, [large, invalid]);
});
