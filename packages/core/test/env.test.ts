import { expect, test } from "vitest";
import { z } from "zod";
import { loadConfig } from "../src/env.ts";
import { MillraceError } from "../src/errors.ts";

const schema = z.object({
  host: z.string().default("127.0.0.1"),
  port: z.int().min(1).max(65_535).default(2407),
  maxRows: z.int().positive().optional(),
  ratio: z.number().default(0.5),
  isVerbose: z.boolean().default(false),
  tokens: z.array(z.string().min(4)).default([]),
  ports: z.array(z.int()).default([]),
  tls: z.object({ keyPath: z.string(), certPath: z.string() }).optional(),
  limits: z.object({ frameBytes: z.int().default(1024) }),
  password: z.string().min(10).meta({ secret: true }).optional(),
});

const load = (env: Record<string, string | undefined>) =>
  loadConfig(schema, { prefix: "APP", env });

function errorOf(env: Record<string, string | undefined>): MillraceError {
  try {
    load(env);
  } catch (error) {
    if (MillraceError.is(error)) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

test("an empty environment gives the defaults, and optional objects stay absent", () => {
  expect(load({})).toEqual({
    host: "127.0.0.1",
    port: 2407,
    ratio: 0.5,
    isVerbose: false,
    tokens: [],
    ports: [],
    limits: { frameBytes: 1024 },
  });
});

test("variables become numbers, booleans, lists and nested objects", () => {
  expect(
    load({
      APP_HOST: " 0.0.0.0 ",
      APP_PORT: "80",
      APP_MAX_ROWS: "1_000_000",
      APP_RATIO: "-.25",
      APP_IS_VERBOSE: "Yes",
      APP_TOKENS: "alpha, beta,,gamma ,",
      APP_PORTS: "1,2",
      APP_TLS_KEY_PATH: "/key",
      APP_TLS_CERT_PATH: "/cert",
      APP_LIMITS_FRAME_BYTES: "5",
      OTHER_PORT: "ignored",
    }),
  ).toEqual({
    host: "0.0.0.0",
    port: 80,
    maxRows: 1_000_000,
    ratio: -0.25,
    isVerbose: true,
    tokens: ["alpha", "beta", "gamma"],
    ports: [1, 2],
    tls: { keyPath: "/key", certPath: "/cert" },
    limits: { frameBytes: 5 },
  });
});

test.each([
  ["1", true],
  ["true", true],
  ["ON", true],
  ["0", false],
  ["False", false],
  ["no", false],
  ["off", false],
])("%s is a boolean", (text, expected) => {
  expect(load({ APP_IS_VERBOSE: text }).isVerbose).toBe(expected);
});

test("an empty or blank variable counts as unset", () => {
  expect(load({ APP_PORT: "", APP_HOST: "  ", APP_TOKENS: "" })).toMatchObject({
    port: 2407,
    host: "127.0.0.1",
    tokens: [],
  });
});

test.each(["_", "1.2.3", "12abc", ".", "+", "0x10", "1,5", "Infinity"])(
  "%s is not taken for a number",
  (text) => {
    expect(errorOf({ APP_PORT: text }).message).toContain("APP_PORT: ");
  },
);

test("every bad variable is in one error, by the name one has to set", () => {
  const error = errorOf({
    APP_PORT: "70000",
    APP_IS_VERBOSE: "maybe",
    APP_TOKENS: "good-token,bad",
    APP_TLS_KEY_PATH: "/key",
    APP_LIMITS_FRAME_BYTES: "many",
  });
  expect(error.code).toBe("CONFIG_INVALID");
  const paths = (error.details["problems"] as Array<{ path: string }>).map(({ path }) => path);
  expect(paths.toSorted()).toEqual([
    "APP_IS_VERBOSE",
    "APP_LIMITS_FRAME_BYTES",
    "APP_PORT",
    "APP_TLS_CERT_PATH",
    "APP_TOKENS",
  ]);
  for (const path of paths) expect(error.message).toContain(path);
});

test("a variable that is not set is told from one that is set to something else", () => {
  const { message } = errorOf({ APP_PORT: "many", APP_TLS_KEY_PATH: "/key" });
  expect(message).toContain("APP_PORT: expected number, got other text");
  expect(message).toContain("APP_TLS_CERT_PATH: not set: expected string");
});

test("values, secret or not, are in no message", () => {
  const error = errorOf({ APP_PASSWORD: "hunter2", APP_PORT: "hunter2", APP_TOKENS: "abc" });
  expect(JSON.stringify([error.message, error.details, String(error.cause)])).not.toMatch(
    /hunter2|abc/,
  );
});

test("a fallback for bad values does not hide good ones", () => {
  const lenient = z.object({ port: z.int().catch(1) });
  expect(loadConfig(lenient, { prefix: "APP", env: { APP_PORT: "80" } })).toEqual({ port: 80 });
});

test("an optional object with objects inside stays absent when nothing of it is set", () => {
  const nested = z.object({ mirror: z.object({ tls: z.object({ key: z.string() }) }).optional() });
  expect(loadConfig(nested, { prefix: "APP", env: {} })).toEqual({});
  expect(loadConfig(nested, { prefix: "APP", env: { APP_MIRROR_TLS_KEY: "k" } })).toEqual({
    mirror: { tls: { key: "k" } },
  });
});
