import { expect, test } from "vitest";
import { z } from "zod";
import { redactSecrets } from "../src/redact-secrets.ts";

const secret = z.string().meta({ secret: true });

test.each<[string, z.ZodType, unknown]>([
  ["itself", secret, "hidden"],
  ["with a check added later", secret.min(3), "hidden"],
  ["when optional", secret.optional(), "hidden"],
  ["when marked outside the default", z.string().default("x").meta({ secret: true }), "hidden"],
  ["when marked between two wrappers", secret.optional().default("x").nullable(), "hidden"],
  [
    "with the mark in the middle",
    z.string().optional().meta({ secret: true }).default("x"),
    "hidden",
  ],
  ["before a transform", secret.transform((text) => text.length), "hidden"],
  [
    "after a transform",
    z
      .string()
      .transform((text) => text)
      .pipe(secret),
    "hidden",
  ],
  ["in an object", z.object({ a: z.string(), b: secret }), { a: "seen", b: "hidden" }],
  ["in an array", z.array(secret), ["hidden", "hidden too"]],
  ["in an array of objects", z.array(z.object({ b: secret })).optional(), [{ b: "hidden" }]],
  ["in a record", z.record(z.string(), z.object({ token: secret })), { web: { token: "hidden" } }],
  ["in a tuple", z.tuple([z.string(), secret]), ["seen", "hidden"]],
  ["in one branch of a union", z.union([z.number(), z.object({ b: secret })]), { b: "hidden" }],
  [
    "in a discriminated union",
    z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("a"), b: secret }),
      z.object({ kind: z.literal("b") }),
    ]),
    { kind: "a", b: "hidden" },
  ],
  [
    "in both sides of an intersection",
    z.intersection(z.object({ a: secret }), z.object({ b: secret })),
    { a: "hidden", b: "hidden" },
  ],
  ["behind lazy", z.lazy(() => z.object({ b: secret })), { b: "hidden" }],
  ["in unknown keys", z.object({}).catchall(secret), { any: "hidden" }],
])("a secret is redacted %s", (_, schema, value) => {
  expect(JSON.stringify(redactSecrets(schema, value))).toContain("[redacted]");
  expect(JSON.stringify(redactSecrets(schema, value))).not.toContain("hidden");
});

test("what is no secret stays, and the original is not touched", () => {
  const schema = z.object({ host: z.string(), tls: z.object({ key: secret, port: z.number() }) });
  const config = { host: "a", tls: { key: "hidden", port: 1 }, more: [1] };
  expect(redactSecrets(schema, config)).toEqual({
    host: "a",
    tls: { key: "[redacted]", port: 1 },
    more: [1],
  });
  expect(config.tls.key).toBe("hidden");
});

test("an absent secret stays absent", () => {
  expect(redactSecrets(z.object({ key: secret.optional() }), { key: undefined })).toEqual({
    key: undefined,
  });
});
