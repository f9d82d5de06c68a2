/** PostgreSQL types that a column can have. */
export const COLUMN_TYPES = [
  "text",
  "integer",
  "bigint",
  "boolean",
  "double",
  "timestamptz",
  "jsonb",
  "text[]",
  "uuid",
] as const;

/** One of {@link COLUMN_TYPES}; `double` is PostgreSQL's `double precision`. */
export type ColumnType = (typeof COLUMN_TYPES)[number];

/** How a record may write a moment, besides as Unix seconds; `iso` is ISO 8601 with its zone. */
export type TimeUnit = "milliseconds" | "microseconds" | "nanoseconds" | "iso";

/** What one column holds and which field of the record fills it; plain data. */
export interface ColumnDefinition {
  readonly type: ColumnType;
  /** Name of the record's field. */
  readonly field: string;
  /** Refuse a record whose field is missing, null or (with `emptyAsNull`) empty; the column is `NOT NULL`. */
  readonly required?: boolean | undefined;
  /** Store `""` as NULL; text columns only. */
  readonly emptyAsNull?: boolean | undefined;
  /** How a `timestamptz` is written; as Unix seconds unless it says otherwise. */
  readonly unit?: TimeUnit | undefined;
}

/** What every column builder takes besides the field. */
export interface ColumnOptions {
  /**
   * Refuse records without a value instead of storing NULL.
   *
   * @default false
   */
  readonly required?: boolean | undefined;
}

/** What {@link text} takes besides the field. */
export interface TextColumnOptions extends ColumnOptions {
  /**
   * Store `""` as NULL.
   *
   * @default false
   */
  readonly emptyAsNull?: boolean | undefined;
}

/** A `text` column from a string, stored exactly as received. */
export function text(field: string, options: TextColumnOptions = {}): ColumnDefinition {
  return {
    ...column("text", field, options),
    ...(options.emptyAsNull === true && { emptyAsNull: true }),
  };
}

/** An `integer` column from a whole number between -2,147,483,648 and 2,147,483,647. */
export function integer(field: string, options: ColumnOptions = {}): ColumnDefinition {
  return column("integer", field, options);
}

/**
 * A `bigint` column from a whole number between -(2^53 - 1) and 2^53 - 1.
 *
 * Larger numbers are refused although PostgreSQL could hold them: reading JSON has rounded them.
 */
export function bigint(field: string, options: ColumnOptions = {}): ColumnDefinition {
  return column("bigint", field, options);
}

/** A `boolean` column from `true` or `false`; 0, 1 and strings are refused. */
export function boolean(field: string, options: ColumnOptions = {}): ColumnDefinition {
  return column("boolean", field, options);
}

/** A `double precision` column from any finite number. */
export function double(field: string, options: ColumnOptions = {}): ColumnDefinition {
  return column("double", field, options);
}

/**
 * A `timestamptz` column from a number of Unix seconds with an optional fraction, rounded to
 * microseconds; years 1 to 9999.
 */
export function timestamptz(field: string, options: ColumnOptions = {}): ColumnDefinition {
  return column("timestamptz", field, options);
}

/**
 * A `timestamptz` column from a number of Unix milliseconds with an optional fraction, rounded to
 * microseconds; years 1 to 9999.
 */
export function timestamptzMilliseconds(
  field: string,
  options: ColumnOptions = {},
): ColumnDefinition {
  return { ...column("timestamptz", field, options), unit: "milliseconds" };
}

/** A `timestamptz` column from a whole number of Unix microseconds up to 2^53 - 1, in the year 2255. */
export function timestamptzMicroseconds(
  field: string,
  options: ColumnOptions = {},
): ColumnDefinition {
  return { ...column("timestamptz", field, options), unit: "microseconds" };
}

/**
 * A `timestamptz` column from an ISO 8601 string with its zone, as `2026-11-23T10:00:00.123456+01:00`
 * or with `Z`; digits behind the sixth are cut off. Without a zone it names no moment and is refused.
 */
export function timestamptzIso(field: string, options: ColumnOptions = {}): ColumnDefinition {
  return { ...column("timestamptz", field, options), unit: "iso" };
}

/**
 * A `timestamptz` column from a string of whole Unix nanoseconds, which no JSON number holds exactly;
 * cut to microseconds.
 */
export function timestamptzNanoseconds(
  field: string,
  options: ColumnOptions = {},
): ColumnDefinition {
  return { ...column("timestamptz", field, options), unit: "nanoseconds" };
}

/** A `jsonb` column from any JSON value but null, which is stored as SQL NULL. */
export function jsonb(field: string, options: ColumnOptions = {}): ColumnDefinition {
  return column("jsonb", field, options);
}

/** A `text[]` column from an array of strings. */
export function textArray(field: string, options: ColumnOptions = {}): ColumnDefinition {
  return column("text[]", field, options);
}

/** A `uuid` column from the 36-character form; PostgreSQL returns it in lower case. */
export function uuid(field: string, options: ColumnOptions = {}): ColumnDefinition {
  return column("uuid", field, options);
}

function column(type: ColumnType, field: string, options: ColumnOptions): ColumnDefinition {
  return { type, field, ...(options.required === true && { required: true }) };
}
