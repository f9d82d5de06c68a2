import { expect, test } from "vitest";
import { messageOf, MillraceError } from "../src/errors.ts";

test("an error carries its code, details, cause and whether a retry can help", () => {
  const cause = new Error("disk full");
  const error = new MillraceError("BUFFER_FULL", "no room", {
    cause,
    details: { rows: 3 },
    retryable: true,
  });
  expect(error).toMatchObject({ code: "BUFFER_FULL", details: { rows: 3 }, retryable: true });
  expect(error.cause).toBe(cause);
  expect(error.name).toBe("MillraceError");
});

test("without more it has no details, no cause and is not retryable", () => {
  const error = new MillraceError("ILLEGAL_STATE", "closed");
  expect(error).toMatchObject({ details: {}, retryable: false });
  expect("cause" in error).toBe(false);
});

test("an error of another installed copy of core is recognised, others are not", () => {
  const foreign = Object.assign(new Error("x"), { [Symbol.for("millrace.error")]: true });
  expect(MillraceError.is(foreign)).toBe(true);
  expect(MillraceError.is(new MillraceError("A_B", "x"))).toBe(true);
  for (const other of [new Error("x"), null, undefined, "text", {}]) {
    expect(MillraceError.is(other)).toBe(false);
  }
});

test("anything thrown has a message that says something", () => {
  expect(messageOf(new Error("plain"))).toBe("plain");
  expect(messageOf("text")).toBe("text");
  expect(messageOf(undefined)).toBe("undefined");
  const refused = new AggregateError([new Error("refused ::1"), new Error("refused 127.0.0.1")]);
  expect(messageOf(refused)).toBe("refused ::1; refused 127.0.0.1");
  expect(messageOf(new RangeError())).toBe("RangeError");
});
