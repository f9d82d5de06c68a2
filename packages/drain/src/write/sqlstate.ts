/**
 * What an error of PostgreSQL, or of the way to it, calls for: `data` is the fault of some rows,
 * `schema` of the tables or rights, `transient` of the moment.
 */
export type FailureKind = "data" | "schema" | "transient";

/**
 * Classes that have nothing to do with the rows: 08 connection, 25 transaction state (a read-only
 * server too), 40 deadlock and the like, 53 resources, 55 locks and states, 57 cancelled or shut
 * down, 58 the system's files, F0 the configuration, XX internal; the others are states of a session
 * that only a fault of ours could cause.
 */
const TRANSIENT_CLASSES: ReadonlySet<string> = new Set(
  "08 0B 24 25 26 2B 2D 34 3B 40 53 55 57 58 72 F0 XX".split(" "),
);
/** 42 syntax or access rule, 28 authorisation, 3D and 3F no such database or schema, 0A unsupported. */
const SCHEMA_CLASSES = new Set(["42", "28", "3D", "3F", "0A"]);
/** No such table, column, function or schema: making the tables again may help. */
const MISSING = new Set(["42P01", "42703", "42883", "3F000"]);

/**
 * Decides by SQLSTATE alone, never by the text of a message: a row can hold any text.
 *
 * Every class that is not known to be something else is the rows' fault: 22 and 23 are the bulk, 54
 * is there for index rows too large, P0 for a trigger's RAISE EXCEPTION, 44 for a view's CHECK
 * OPTION, and a trigger may raise a code of its own invention.
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function classifyFailure(error: unknown): FailureKind {
  const code = sqlStateOf(error);
  if (code === undefined) return "transient";
  // A value of another type than the column has now.
  if (code === "42804") return "data";
  const errorClass = code.slice(0, 2);
  if (TRANSIENT_CLASSES.has(errorClass)) return "transient";
  return SCHEMA_CLASSES.has(errorClass) ? "schema" : "data";
}

/** Whether an error says that a table, column, function or schema is not there. */
export function isMissingObject(error: unknown): boolean {
  return MISSING.has(sqlStateOf(error) ?? "");
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
  const line = /^COPY \S+, line (\d+)/m.exec(whereOf(error))?.[1];
  return line === undefined ? undefined : Number(line);
}

/** Column of a COPY that the server could not read. */
export function copyColumnOf(error: unknown): string | undefined {
  return /^COPY \S+, line \d+, column ([a-z_][a-z0-9_]*)/m.exec(whereOf(error))?.[1];
}

function whereOf(error: unknown): string {
  const where: unknown =
    typeof error === "object" && error !== null ? Reflect.get(error, "where") : undefined;
  return typeof where === "string" ? where : "";
}
