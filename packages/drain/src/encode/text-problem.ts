/** What keeps a string out of PostgreSQL's `text` and `jsonb`, or nothing. */
export function textProblem(value: string): string | undefined {
  if (value.includes("\0")) {
    return `holds U+0000 at position ${value.indexOf("\0")}, which PostgreSQL cannot store`;
  }
  if (!value.isWellFormed()) return "holds half of a surrogate pair, which UTF-8 cannot express";
  return undefined;
}
