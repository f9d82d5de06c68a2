import { gzipSync } from "node:zlib";
import { type PayloadKind, sealPayload } from "@millrace/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PayloadRefused } from "../../src/batch/payload-reader.ts";
import { recordsOf } from "../../src/batch/payload-source.ts";
import { PayloadTexts } from "../../src/batch/payload-texts.ts";

const MIB = 1024 * 1024;
const LIMITS = { maxInflatedBytes: MIB, maxTextBytes: MIB, maxRecordHeapBytes: MIB };
const RECEIVED_AT = 1_767_225_600_123;

function payloadOf(kind: PayloadKind, content: string | Uint8Array) {
  const payload = sealPayload(kind, [Buffer.from(content)]);
  return { id: 1, receivedAt: RECEIVED_AT, token: "default", payload };
}

function read(kind: PayloadKind, content: string | Uint8Array): unknown[] {
  return [...recordsOf(payloadOf(kind, content), LIMITS)].map((record) => record.read());
}

function refusal(run: () => unknown): PayloadRefused {
  try {
    run();
  } catch (error) {
    if (error instanceof PayloadRefused) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("recordsOf JSON", () => {
  it("takes one object for an array of one, gzipped too", () => {
    expect(read("json", ' {"t":"log"}\n')).toEqual([{ t: "log" }]);
    expect(read("json", '[{"t":"log"},2]')).toEqual([{ t: "log" }, 2]);
    expect(read("json", gzipSync('{"t":"log"}'))).toEqual([{ t: "log" }]);
  });

  it("refuses two objects without brackets, and a kind that it does not know", () => {
    expect(refusal(() => read("json", "{}{}")).code).toBe("json_invalid");
    const payload = Buffer.from("004d52ff61", "hex");
    const unknown = { ...payloadOf("json", ""), payload };
    expect(refusal(() => [...recordsOf(unknown, LIMITS)]).code).toBe("kind_unknown");
  });
});

describe("recordsOf NDJSON", () => {
  it("reads the records that were written, whatever ends the lines", () => {
    const ending = fc.constantFrom("\n", "\r\n", "\n\n", " \n\t\n");
    const line = fc.tuple(fc.dictionary(fc.string(), fc.jsonValue()), ending);
    fc.assert(
      fc.property(fc.array(line), fc.boolean(), (lines, isEnded) => {
        const text = lines.map(([record, end]) => JSON.stringify(record) + end).join("");
        const sent = isEnded ? text : text.trimEnd();
        const expected = lines.map(([record]) => JSON.parse(JSON.stringify(record)) as unknown);
        expect(read("ndjson", sent)).toEqual(expected);
      }),
    );
  });

  it("keeps the exact text of each line, and a broken one to itself", () => {
    const payload = payloadOf("ndjson", '{"a":1.0}\n{broken\n{"b":2}');
    const [first, second, third] = recordsOf(payload, LIMITS);
    expect(first?.read()).toEqual({ a: 1 });
    expect(() => second?.read()).toThrow("the line is not JSON");
    expect(third?.read()).toEqual({ b: 2 });
    const texts = new PayloadTexts(LIMITS);
    expect([0, 1, 2].map((index) => texts.recordBytes(payload, index).toString())).toEqual([
      '{"a":1.0}',
      "{broken",
      '{"b":2}',
    ]);
  });
});

describe("recordsOf OTLP", () => {
  const logs = (...logRecords: unknown[]) =>
    JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] });

  it("keeps 64-bit numbers, bytes and what JSON has no number for", () => {
    const value = (held: object, index: number) => ({ key: `k${index}`, value: held });
    const [record] = read(
      "otlp-logs-json",
      logs({
        timeUnixNano: "1767225600123456789",
        attributes: [
          { intValue: "9007199254740993" },
          { intValue: 7 },
          { doubleValue: "NaN" },
          { bytesValue: "AAE=" },
          { kvlistValue: { values: [{ key: "__proto__", value: { boolValue: false } }] } },
          {},
        ].map(value),
      }),
    ) as Array<Record<string, unknown>>;
    expect(record?.["timestamp"]).toBe("1767225600123456789");
    expect(JSON.stringify(record?.["attributes"])).toBe(
      '{"k0":"9007199254740993","k1":7,"k2":"NaN","k3":"AAE=","k4":{"__proto__":false},"k5":null}',
    );
  });

  it("dates a log without a time from when it was observed, or else received", () => {
    const records = read(
      "otlp-logs-json",
      logs({ observedTimeUnixNano: "5" }, { timeUnixNano: "0" }),
    ) as Array<Record<string, unknown>>;
    expect(records.map(({ timestamp }) => timestamp)).toEqual(["5", `${RECEIVED_AT}000000`]);
  });

  it("takes an empty export for no records", () => {
    expect(read("otlp-traces-proto", "")).toEqual([]);
    expect(read("otlp-logs-json", "{}")).toEqual([]);
  });

  it("refuses any bytes that are no export, and never throws otherwise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          for (const record of recordsOf(payloadOf("otlp-logs-proto", bytes), LIMITS))
            record.text();
        } catch (error) {
          expect(error).toBeInstanceOf(PayloadRefused);
        }
      }),
    );
  });

  it("refuses exports that may fill the heap before it reads them", () => {
    const many = `{"resourceLogs":[${"{},".repeat(20_000)}{}]}`;
    expect(refusal(() => read("otlp-logs-json", many)).code).toBe("too_large");
    const bytes = Buffer.alloc(MIB / 4 + 1);
    expect(refusal(() => read("otlp-logs-proto", bytes)).code).toBe("too_large");
  });

  it("refuses nesting without end", () => {
    let nested: Buffer = Buffer.alloc(0);
    // AnyValue { array_value: ArrayValue { values: AnyValue } }
    for (let depth = 0; depth < 2_000; depth++) {
      nested = prefixed(0x2a, prefixed(0x0a, nested));
    }
    const record = prefixed(0x2a, nested);
    const request = prefixed(0x0a, prefixed(0x12, prefixed(0x12, record)));
    expect(refusal(() => read("otlp-logs-proto", request)).code).toBe("protobuf_invalid");
  });
});

/** A length-delimited field. */
function prefixed(tag: number, content: Buffer): Buffer {
  const length: number[] = [];
  let rest = content.length;
  for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([tag, ...length, rest]), content]);
}
