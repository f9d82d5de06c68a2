const MAX_SHOWN_LENGTH = 80;

/** A record that cannot land as it is; it is never altered to make it fit. */
export class RecordRefused extends Error {
  /** What was expected and what was there. */
  readonly reason: string;
  /** Field of the record at fault, if it is one field's. */
  readonly field: string | undefined;
  /** Column that the field would have filled. */
  readonly column: string | undefined;

  constructor(
    reason: string,
    at: { field?: string | undefined; column?: string | undefined } = {},
  ) {
    super(messageFor(reason, at.field, at.column));
    this.name = "RecordRefused";
    this.reason = reason;
    this.field = at.field;
    this.column = at.column;
  }
}

/** A value as an error message shows it: with its type, clipped, and without raw control characters. */
export function showValue(value: unknown): string {
  if (typeof value === "string") {
    const shown = JSON.stringify(value.slice(0, MAX_SHOWN_LENGTH));
    return value.length > MAX_SHOWN_LENGTH
      ? `a string of ${value.length} characters that starts with ${shown}`
      : `the string ${shown}`;
  }
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

function messageFor(reason: string, field: string | undefined, column: string | undefined): string {
  if (field === undefined) return column === undefined ? reason : `${column}: ${reason}`;
  return column === undefined || column === field
    ? `${field}: ${reason}`
    : `${field}: ${reason} (column ${column})`;
}
