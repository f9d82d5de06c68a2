import { jsonProblem } from "./json-text.ts";
import { RecordRefused } from "./record-refused.ts";

/** Name of the column that keeps the fields which no other column names. */
export const UNKNOWN_FIELDS = "unknown_fields";

/**
 * The fields of `record` that are not `known`, as JSON.
 *
 * @returns null when there are none.
 * @throws {@link RecordRefused}
 */
export function unknownFieldsText(
  record: Readonly<Record<string, unknown>>,
  known: ReadonlySet<string>,
): string | null {
  let unknown: Record<string, unknown> | undefined;
  for (const field of Object.keys(record)) {
    if (known.has(field)) continue;
    // Without a prototype, so that a field named __proto__ is a field like any other.
    unknown ??= Object.create(null) as Record<string, unknown>;
    unknown[field] = record[field];
  }
  if (unknown === undefined) return null;
  const problem = jsonProblem(unknown);
  if (problem !== undefined) throw new RecordRefused(problem, { column: UNKNOWN_FIELDS });
  return JSON.stringify(unknown);
}
