import type * as z from "zod";
import { MillraceError } from "./errors.ts";

/** One thing wrong with a configuration. */
export interface ConfigProblem {
  /** Dotted path of the option, or the name of the environment variable. */
  path: string;
  problem: string;
}

/**
 * Validates what a caller passed to a `createX` function and fills in defaults.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID`, naming every bad field, the type of its value and
 * what was expected. Values are never shown: they may be secrets.
 */
export function parseOptions<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  owner: string,
): z.output<Schema> {
  const result = schema.safeParse(input ?? {});
  if (result.success) return result.data;
  throw configInvalid(
    owner,
    result.error.issues.map((issue) => ({
      path: issue.path.join(".") || "(options)",
      problem: describeIssue(issue, valueAt(input, issue.path)),
    })),
  );
}

/** The error that names all of `problems` of one configuration at once. */
export function configInvalid(owner: string, problems: ConfigProblem[]): MillraceError {
  const lines = problems.map(({ path, problem }) => `  ${path}: ${problem}`);
  return new MillraceError("CONFIG_INVALID", `${owner}: invalid options\n${lines.join("\n")}`, {
    details: { problems },
  });
}

/** One line on what was expected and which type of value was there instead. */
export function describeIssue(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code === "unrecognized_keys") {
    // A schema may bring a message of its own that names the option that was probably meant.
    return issue.message.startsWith("Unrecognized key")
      ? `unknown option ${issue.keys.join(", ")}`
      : issue.message;
  }
  const text = issue.message.replace(/^Invalid input: /, "");
  if (text.includes("received")) return text;
  return value === undefined ? `${text} (missing)` : `${text} (got a ${typeName(value)})`;
}

function valueAt(input: unknown, path: PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
