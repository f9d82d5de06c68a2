import fc from "fast-check";
import { expect, test } from "vitest";
import { parseJsonLine } from "../../src/logs/json-line.ts";

test.each([
  ['{"level":30,"msg":"up","port":80}', { message: "up", fields: { port: 80 } }],
  ['{"message":"up","a":{"b":1}}', { message: "up", fields: { a: { b: 1 } } }],
  ['{"msg":"a","message":"b"}', { message: "a", fields: { message: "b" } }],
  ['{"msg":3,"a":1}', { message: '{"msg":3,"a":1}', fields: { a: 1 } }],
  ['{"a":1}', { message: '{"a":1}', fields: { a: 1 } }],
  ["[1]", undefined],
  ["{not json}", undefined],
  ["plain", undefined],
])("%s", (line, expected) => {
  expect(parseJsonLine(line)).toEqual(expected);
});

test("no line makes it throw", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      parseJsonLine(line);
      parseJsonLine(`{${line}}`);
    }),
  );
});
