import { createHash } from "node:crypto";

/** Longest name that PostgreSQL keeps whole (NAMEDATALEN - 1). */
export const MAX_IDENTIFIER_BYTES = 63;

const IDENTIFIER = /^[a-z_][a-z0-9_]*$/;

/** What is wrong with `name` as the name of a table or column, or nothing. */
export function identifierProblem(name: unknown): string | undefined {
  if (typeof name !== "string") return `the name must be a string, not ${typeof name}`;
  if (name.length > MAX_IDENTIFIER_BYTES) {
    return `the name has ${name.length} characters, PostgreSQL keeps ${MAX_IDENTIFIER_BYTES}: shorten it`;
  }
  if (!IDENTIFIER.test(name)) {
    return "the name must start with a-z or _ and go on with a-z, 0-9 or _";
  }
  return undefined;
}

/** `name` as PostgreSQL reads it literally, whatever it is. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** `name` if PostgreSQL keeps it whole, else a shortening of it that stays distinct. */
export function shortenIdentifier(name: string): string {
  if (name.length <= MAX_IDENTIFIER_BYTES) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 8);
  return `${name.slice(0, MAX_IDENTIFIER_BYTES - 9)}_${digest}`;
}
