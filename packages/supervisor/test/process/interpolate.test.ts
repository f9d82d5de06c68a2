import { expect, test } from "vitest";
import { interpolate } from "../../src/process/interpolate.ts";

const variables = { NAME: "value", EMPTY: "", NUMBER: "3" };

test.each([
  ["--id=${NUMBER}", "--id=3"],
  ["${NAME}/${NUMBER}", "value/3"],
  ["${MISSING:-fallback}", "fallback"],
  ["${EMPTY:-fallback}", "fallback"],
  ["${MISSING:-}", ""],
  ["${NAME:?must be set}", "value"],
  ["$${NAME}", "${NAME}"],
  ["$NAME $5 ${", "$NAME $5 ${"],
])("%s becomes %s", (text, expected) => {
  expect(interpolate(text, variables)).toBe(expected);
});

test.each(["${MISSING}", "${EMPTY}", "${MISSING:?no database}"])("%s is an error", (text) => {
  expect(() => interpolate(text, variables)).toThrow(
    expect.objectContaining({ code: "SUPERVISOR_VARIABLE_MISSING" }),
  );
});

test("the error carries the message of the reference", () => {
  expect(() => interpolate("${MISSING:?no database}", variables)).toThrow("no database");
});
