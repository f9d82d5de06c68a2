import type { ColumnDefinition, ColumnType, TimeUnit } from "../schema/columns.ts";
import { isoText } from "./iso-text.ts";
import { jsonProblem } from "./json-text.ts";
import { RecordRefused, showValue } from "./record-refused.ts";
import { textProblem } from "./text-problem.ts";
import {
  microsecondsText,
  millisecondsText,
  nanosecondsText,
  timestampText,
} from "./timestamp-text.ts";

/**
 * A value as PostgreSQL's input function for the type reads it.
 *
 * @returns undefined when the value is not of the type.
 */
type ValueReader = (value: unknown) => string | undefined;

const INT4_MIN = -2_147_483_648;
const INT4_MAX = 2_147_483_647;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

const READERS: Readonly<Record<ColumnType, ValueReader>> = {
  text: (value) =>
    typeof value === "string" && !value.includes("\0") && value.isWellFormed() ? value : undefined,
  integer: (value) =>
    isInteger(value) && value >= INT4_MIN && value <= INT4_MAX ? String(value) : undefined,
  bigint: (value) =>
    typeof value === "number" && Number.isSafeInteger(value) ? String(value) : undefined,
  boolean: (value) => (value === true ? "t" : value === false ? "f" : undefined),
  double: (value) => {
    if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
    return Object.is(value, -0) ? "-0" : String(value);
  },
  timestamptz: (value) => (typeof value === "number" ? timestampText(value) : undefined),
  jsonb: (value) => (jsonProblem(value) === undefined ? JSON.stringify(value) : undefined),
  "text[]": (value) =>
    arrayProblem(value) === undefined ? arrayText(value as string[]) : undefined,
  uuid: (value) =>
    typeof value === "string" && UUID.test(value) ? value.toLowerCase() : undefined,
};

/** Types whose texts may hold characters that COPY escapes. */
const ESCAPED_TYPES: ReadonlySet<ColumnType> = new Set(["text", "jsonb", "text[]"]);

const TIME_READERS: Readonly<Record<TimeUnit, { read: ValueReader; expected: string }>> = {
  milliseconds: {
    read: (value) => (typeof value === "number" ? millisecondsText(value) : undefined),
    expected: "Unix milliseconds of the years 1 to 9999",
  },
  microseconds: {
    read: (value) =>
      typeof value === "number" && Number.isSafeInteger(value)
        ? microsecondsText(value)
        : undefined,
    expected: "whole Unix microseconds, exact up to 2^53 - 1",
  },
  nanoseconds: {
    // All digits are read: a double has too few for them.
    read: (value) =>
      typeof value === "string" && /^\d{1,30}$/.test(value) ? nanosecondsText(value) : undefined,
    expected: "a string of Unix nanoseconds of the years 1970 to 9999",
  },
  iso: {
    read: (value) => (typeof value === "string" ? isoText(value) : undefined),
    expected: "an ISO 8601 string with its zone, of the years 1 to 9999",
  },
};

/** Reads one column's value from records. */
export class ColumnReader {
  readonly name: string;
  readonly field: string;
  readonly type: ColumnType;
  readonly required: boolean;
  readonly emptyAsNull: boolean;
  /** Whether the text may hold characters that COPY escapes. */
  readonly needsEscape: boolean;
  /** Whether it reads Unix seconds. */
  readonly isInSeconds: boolean;
  readonly #unit: ColumnDefinition["unit"];
  readonly #read: ValueReader;

  constructor(name: string, { type, field, required, emptyAsNull, unit }: ColumnDefinition) {
    this.name = name;
    this.field = field;
    this.type = type;
    this.required = required ?? false;
    this.emptyAsNull = emptyAsNull ?? false;
    this.needsEscape = ESCAPED_TYPES.has(type);
    this.isInSeconds = type === "timestamptz" && unit === undefined;
    this.#unit = unit;
    this.#read = unit === undefined ? READERS[type] : TIME_READERS[unit].read;
  }

  /**
   * The value as PostgreSQL's input function reads it, or null.
   *
   * @throws {@link RecordRefused}
   */
  read(value: unknown): string | null {
    if (value === undefined || value === null || (this.emptyAsNull && value === "")) {
      if (this.required) throw this.#refused(value === "" ? "is empty" : "missing");
      return null;
    }
    const text = this.#read(value);
    if (text === undefined) {
      throw this.#refused(
        this.#unit === undefined
          ? problemOf(this.type, value)
          : `expected ${TIME_READERS[this.#unit].expected}, got ${showValue(value)}`,
      );
    }
    return text;
  }

  #refused(reason: string): RecordRefused {
    return new RecordRefused(reason, { field: this.field, column: this.name });
  }
}

/** The readers of all `columns`, in their order. */
export function columnReaders(columns: Readonly<Record<string, ColumnDefinition>>): ColumnReader[] {
  return Object.entries(columns).map(([name, column]) => new ColumnReader(name, column));
}

/** Why {@link READERS} would not have it; only asked once it is known to be wrong. */
function problemOf(type: ColumnType, value: unknown): string {
  const got = `got ${showValue(value)}`;
  switch (type) {
    case "text":
      return typeof value === "string" ? (textProblem(value) ?? got) : `expected a string, ${got}`;
    case "integer":
      return Number.isInteger(value)
        ? `expected an integer from ${INT4_MIN} to ${INT4_MAX}, ${got}`
        : `expected an integer, ${got}`;
    case "bigint":
      return Number.isInteger(value)
        ? `${showValue(value)} is not exact: whole numbers are exact up to 2^53 - 1`
        : `expected an integer, ${got}`;
    case "boolean":
      return `expected true or false, ${got}`;
    case "double":
      return `expected a finite number, ${got}`;
    case "timestamptz":
      return `expected Unix seconds of the years 1 to 9999, ${got}`;
    case "jsonb":
      return jsonProblem(value) ?? got;
    case "text[]":
      return arrayProblem(value) ?? got;
    case "uuid":
      return `expected a UUID, ${got}`;
    default:
      return type satisfies never;
  }
}

function isInteger(value: unknown): value is number {
  return Number.isInteger(value);
}

function arrayProblem(value: unknown): string | undefined {
  if (!Array.isArray(value)) return `expected an array of strings, got ${showValue(value)}`;
  for (let index = 0; index < value.length; index++) {
    const element: unknown = value[index];
    if (typeof element !== "string") {
      return `expected an array of strings, element ${index} is ${showValue(element)}`;
    }
    const problem = textProblem(element);
    if (problem !== undefined) return `element ${index} ${problem}`;
  }
  return undefined;
}

const QUOTED = /["\\]/;

/** @see https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
function arrayText(elements: readonly string[]): string {
  let text = "";
  for (const element of elements) {
    const escaped = QUOTED.test(element) ? element.replace(/["\\]/g, String.raw`\$&`) : element;
    text += text === "" ? `"${escaped}"` : `,"${escaped}"`;
  }
  return `{${text}}`;
}
