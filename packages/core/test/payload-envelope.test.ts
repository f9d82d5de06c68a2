import { gzipSync } from "node:zlib";
import { openPayload, type PayloadKind, sealPayload } from "../src/payload-envelope.ts";
import fc from "fast-check";
import { expect, it } from "vitest";

const KINDS: PayloadKind[] = [
  "records",
  "json",
  "ndjson",
  "otlp-logs-json",
  "otlp-logs-proto",
  "otlp-traces-json",
  "otlp-traces-proto",
];

it("gives back the kind and the bytes that were sealed, in however many parts", () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(...KINDS.slice(1)), parts, (kind, chunks) => {
      const { kind: opened, content } = openPayload(sealPayload(kind, chunks));
      expect(opened).toBe(kind);
      expect(Buffer.from(content)).toEqual(Buffer.concat(chunks));
    }),
  );
});

it("adds nothing to an array of records, and takes whatever has no mark for one", () => {
  for (const bytes of [
    Buffer.from("[1]"),
    gzipSync("[1]"),
    Buffer.alloc(0),
    Buffer.from([0, 77]),
  ]) {
    expect(sealPayload("records", [bytes])).toEqual(bytes);
    expect(openPayload(bytes)).toEqual({ kind: "records", content: bytes });
  }
});

it("knows the bytes that are in buffer files already", () => {
  expect(KINDS.map((kind) => sealPayload(kind, []).toString("hex"))).toEqual([
    "",
    "004d5201",
    "004d5202",
    "004d5203",
    "004d5204",
    "004d5205",
    "004d5206",
  ]);
  expect(openPayload(Buffer.from("004d52ff61", "hex")).kind).toBeUndefined();
});
