import { MillraceError } from "@millrace/core/thread";
import type { DrainErrorCode } from "../errors.ts";
import { COLUMN_TYPES, type ColumnDefinition } from "./columns.ts";
import { identifierProblem } from "./identifier.ts";

/** Tables of these names belong to Millrace itself. */
const RESERVED_PREFIX = "millrace_";

/** The error for a declaration that cannot become a table. */
export function tableInvalid(table: unknown, problem: string): MillraceError<DrainErrorCode> {
  return new MillraceError("DRAIN_TABLE_INVALID", `table ${describe(table)}: ${problem}`, {
    details: { table: typeof table === "string" ? table : describe(table) },
  });
}

/** @throws {@link MillraceError} `DRAIN_TABLE_INVALID` for a name that cannot be a user's table. */
export function checkTableName(name: unknown): void {
  const problem = identifierProblem(name);
  if (problem !== undefined) throw tableInvalid(name, problem);
  if (String(name).startsWith(RESERVED_PREFIX)) {
    throw tableInvalid(name, `names that start with ${RESERVED_PREFIX} are taken: choose another`);
  }
}

/**
 * Checks names, types and fields of columns.
 *
 * @param own - columns that the table gets by itself.
 * @throws {@link MillraceError} `DRAIN_TABLE_INVALID`.
 */
export function checkColumns(
  table: string,
  columns: Readonly<Record<string, ColumnDefinition>>,
  own: readonly string[],
): void {
  checkColumnNames(table, Object.keys(columns), own);
  for (const [name, column] of Object.entries(columns)) {
    if (typeof column !== "object" || column === null || !COLUMN_TYPES.includes(column.type)) {
      throw tableInvalid(
        table,
        `column ${name} has no known type: use text(), integer() and so on`,
      );
    }
    checkField(table, name, column.field);
    if (column.emptyAsNull === true && column.type !== "text") {
      throw tableInvalid(table, `column ${name}: emptyAsNull is for text, not for ${column.type}`);
    }
  }
}

/** @throws {@link MillraceError} `DRAIN_TABLE_INVALID` for a name that is invalid or taken. */
export function checkColumnNames(
  table: string,
  names: readonly string[],
  own: readonly string[],
): void {
  const seen = new Set<string>();
  for (const name of names) {
    const problem = identifierProblem(name);
    if (problem !== undefined) throw tableInvalid(table, `column ${describe(name)}: ${problem}`);
    if (own.includes(name)) {
      throw tableInvalid(
        table,
        `column ${name} exists by itself in every such table: rename yours`,
      );
    }
    if (seen.has(name)) throw tableInvalid(table, `column ${name} is declared twice`);
    seen.add(name);
  }
}

/**
 * Refuses fields that every JavaScript object answers to: an absent one would look present.
 *
 * @throws {@link MillraceError} `DRAIN_TABLE_INVALID`.
 */
export function checkField(table: string, column: string, field: unknown): void {
  if (typeof field !== "string" || field === "" || field in Object.prototype) {
    throw tableInvalid(table, `column ${column}: ${describe(field)} cannot be the name of a field`);
  }
}

/** @throws {@link MillraceError} `DRAIN_TABLE_INVALID` for a record type that no record can have. */
export function checkRecordType(table: string, type: unknown): void {
  if (typeof type !== "string" || type === "") {
    throw tableInvalid(table, `match.t must be a record type, not ${describe(type)}`);
  }
}

function describe(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 80) ?? String(value);
}
