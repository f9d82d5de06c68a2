import { expect, test } from "vitest";
import { z } from "zod";
import { MillraceError } from "../src/errors.ts";
import { parseOptions } from "../src/config.ts";

const schema = z
  .strictObject({
    port: z.int().min(0).max(65_535).default(2407),
    host: z.string(),
    mode: z.enum(["reject", "block"]).default("reject"),
    limits: z.strictObject({ frameBytes: z.int().positive().default(1024) }).prefault({}),
    tokens: z.array(z.string().min(8)).default([]),
    low: z.number().default(1),
    high: z.number().default(2),
  })
  .refine(({ low, high }) => low < high, { path: ["low"], error: "low must be below high" });

function problemsOf(input: unknown): MillraceError {
  try {
    parseOptions(schema, input, "createThing");
  } catch (error) {
    if (MillraceError.is(error)) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

test("good options come back with their defaults", () => {
  expect(parseOptions(schema, { host: "::1" }, "createThing")).toEqual({
    port: 2407,
    host: "::1",
    mode: "reject",
    limits: { frameBytes: 1024 },
    tokens: [],
    low: 1,
    high: 2,
  });
});

test("every bad field is named at once, with its type and what was expected", () => {
  const error = problemsOf({
    port: "80",
    mode: "drop",
    limits: { frameBytes: -1 },
    tokens: ["long enough", 7],
    colour: "red",
  });
  expect(error.code).toBe("CONFIG_INVALID");
  expect(error.message).toMatch(/^createThing: invalid options\n/);
  expect(error.message).toContain("port: expected number, received string");
  expect(error.message).toContain("host: expected string, received undefined");
  expect(error.message).toMatch(/mode: .*"reject"\|"block".*\(got a string\)/);
  expect(error.message).toMatch(/limits\.frameBytes: .*>0.*\(got a number\)/);
  expect(error.message).toContain("tokens.1: expected string, received number");
  expect(error.message).toContain("unknown option colour");
  expect((error.details["problems"] as unknown[]).length).toBe(6);
});

test("a conflict between two options is reported like any other", () => {
  expect(problemsOf({ host: "a", low: 3 }).message).toContain("low: low must be below high");
});

test("no options at all, null or a wrong kind of value are bad options, not a crash", () => {
  for (const input of [undefined, null, 7, "text", []]) {
    expect(problemsOf(input).code).toBe("CONFIG_INVALID");
  }
});

test("a value never appears in the message or the details: it may be a secret", () => {
  const secret = "s3cr3t";
  const error = problemsOf({
    host: "a",
    port: secret,
    mode: secret,
    tokens: [secret],
    low: secret,
  });
  expect(JSON.stringify([error.message, error.details, String(error.cause)])).not.toContain(secret);
});
