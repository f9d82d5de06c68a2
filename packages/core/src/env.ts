import * as z from "zod";
import { type ConfigProblem, configInvalid, describeIssue } from "./config.ts";

/** Options of {@link loadConfig}. */
export interface LoadConfigOptions {
  /** Prepended to every variable: `MILLRACE_INGEST` makes `port` read `MILLRACE_INGEST_PORT`. */
  prefix: string;
  /** Variables by name. @default process.env */
  env?: Record<string, string | undefined> | undefined;
}

/**
 * Reads a configuration from environment variables: `maxRows` of an object schema comes from
 * `PREFIX_MAX_ROWS`, nested objects add a part to the name, arrays are comma lists. Empty
 * variables count as unset, so defaults apply.
 *
 * @throws `CONFIG_INVALID`, naming every bad variable at once. Values are not shown.
 * @example
 * ```ts
 * import { loadConfig } from "@millrace/core";
 * import { z } from "zod";
 *
 * const schema = z.object({ port: z.int().min(0).max(65_535).default(2407) });
 * const { port } = loadConfig(schema, { prefix: "MILLRACE_INGEST" });
 * console.log(port);
 * ```
 */
export function loadConfig<Schema extends z.ZodObject>(
  schema: Schema,
  { prefix, env = process.env }: LoadConfigOptions,
): z.output<Schema> {
  const { raw } = readObject(schema, prefix, env);
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const problems: ConfigProblem[] = result.error.issues.map((issue) => {
    const variable = [
      prefix,
      ...issue.path.filter((key) => typeof key === "string").map(upperSnake),
    ];
    const name = variable.join("_");
    return { path: name, problem: describeProblem(issue, env[name]) };
  });
  throw configInvalid("environment", problems);
}

/** Every variable is text: "got a string" would tell nobody anything. */
function describeProblem(issue: z.core.$ZodIssue, text: string | undefined): string {
  const problem = describeIssue(issue, text);
  const expected = problem.replace(/(, received .*| \((missing|got a .*)\))$/, "");
  if (text === undefined || text.trim() === "") return `not set: ${expected}`;
  return problem.includes(", received ") ? `${expected}, got other text` : expected;
}

function readObject(
  schema: z.ZodObject,
  prefix: string,
  env: Record<string, string | undefined>,
): { raw: Record<string, unknown>; isSet: boolean } {
  const raw: Record<string, unknown> = {};
  let isSet = false;
  for (const [key, field] of Object.entries(schema.shape)) {
    const name = `${prefix}_${upperSnake(key)}`;
    const inner = unwrap(field);
    if (inner instanceof z.ZodObject) {
      const nested = readObject(inner, name, env);
      // An object that must be there is checked field by field: the defaults inside it apply.
      if (nested.isSet || inner === field) raw[key] = nested.raw;
      isSet ||= nested.isSet;
      continue;
    }
    const text = env[name]?.trim();
    if (text === undefined || text === "") continue;
    raw[key] = coerce(inner, text);
    isSet = true;
  }
  return { raw, isSet };
}

function coerce(schema: z.ZodType, text: string): unknown {
  if (schema instanceof z.ZodNumber)
    return /^[+-]?(\d[\d_]*)?(\.\d+)?$/.test(text) ? Number(text.replaceAll("_", "")) : text;
  if (schema instanceof z.ZodBoolean) {
    if (/^(1|true|yes|on)$/i.test(text)) return true;
    return /^(0|false|no|off)$/i.test(text) ? false : text;
  }
  if (schema instanceof z.ZodArray) {
    const element = unwrap(schema.element as z.ZodType);
    return text
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "")
      .map((part) => coerce(element, part));
  }
  return text;
}

function unwrap(schema: z.ZodType): z.ZodType {
  let inner = schema;
  for (;;) {
    if (
      inner instanceof z.ZodOptional ||
      inner instanceof z.ZodDefault ||
      inner instanceof z.ZodPrefault ||
      inner instanceof z.ZodNullable ||
      inner instanceof z.ZodCatch ||
      inner instanceof z.ZodNonOptional ||
      inner instanceof z.ZodReadonly
    ) {
      inner = inner.unwrap() as z.ZodType;
    } else if (inner instanceof z.ZodPipe) {
      inner = inner.in as z.ZodType;
    } else {
      return inner;
    }
  }
}

function upperSnake(key: string): string {
  return key.replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase();
}
