/**
 * What an error of PostgreSQL, or of the way to it, calls for: `data` is the fault of some rows,
 * `schema` of the tables or rights, `transient` of the moment.
 */
export type FailureKind = "data" | "schema" | "transient";

/**
 * Classes whose errors a value can cause. 54 (program limit exceeded) is there for index rows too
 * large; 21 for a value that makes one statement touch a row twice; 2200* and 23* are the bulk.
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const DATA_CLASSES = new Set(["21", "22", "23", "54"]);
/** 42 syntax or access rule, 28 authorisation, 3D and 3F no such database or schema, 0A unsupported. */
const SCHEMA_CLASSES = new Set(["42", "28", "3D", "3F", "0A"]);

/** Decides by SQLSTATE alone, never by the text of a message: a row can hold any text. */
export function classifyFailure(error: unknown): FailureKind {
  const code = sqlStateOf(error);
  if (code === undefined) return "transient";
  // A value of another type than the column has now.
  if (code === "42804") return "data";
  const errorClass = code.slice(0, 2);
  if (DATA_CLASSES.has(errorClass)) return "data";
  return SCHEMA_CLASSES.has(errorClass) ? "schema" : "transient";
}

/** The five characters of PostgreSQL's error code, if the server sent the error. */
export function sqlStateOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const code: unknown = Reflect.get(error, "code");
  const severity: unknown = Reflect.get(error, "severity");
  // Node's own errors (ECONNRESET) have a code too, but no severity.
  return typeof code === "string" && severity !== undefined && /^[0-9A-Z]{5}$/.test(code)
    ? code
    : undefined;
}

/** Line of a COPY, from 1, that the server names as the one at fault. */
export function copyLineOf(error: unknown): number | undefined {
  const where: unknown =
    typeof error === "object" && error !== null ? Reflect.get(error, "where") : undefined;
  const match = typeof where === "string" ? /^COPY \S+, line (\d+)/m.exec(where) : null;
  return match?.[1] === undefined ? undefined : Number(match[1]);
}
