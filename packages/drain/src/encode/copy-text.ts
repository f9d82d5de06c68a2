/** NULL in COPY's text format. */
export const COPY_NULL = "\\N";

const SPECIAL = /[\\\n\r\t]/;

/**
 * A value as COPY's text format writes it.
 *
 * @see https://www.postgresql.org/docs/current/sql-copy.html (Text Format)
 */
export function copyText(value: string): string {
  if (!SPECIAL.test(value)) return value;
  return value
    .replaceAll("\\", "\\\\")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r")
    .replaceAll("\t", "\\t");
}
