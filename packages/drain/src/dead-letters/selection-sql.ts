import type { DeadLetterFilter, ResolvedSelection } from "./dead-letter-options.ts";

/** Conditions of a WHERE clause, joined as they come, and the values of their parameters. */
export class Conditions {
  readonly values: unknown[] = [];
  readonly #parts: string[] = [];

  /** @param condition with `?` where `value` belongs. */
  add(condition: string, value: unknown): this {
    this.values.push(value);
    this.#parts.push(condition.replace("?", `$${this.values.length}`));
    return this;
  }

  addPlain(condition: string): this {
    this.#parts.push(condition);
    return this;
  }

  get sql(): string {
    return this.#parts.length === 0 ? "TRUE" : this.#parts.join(" AND ");
  }
}

/** Conditions that the letters of a filter meet. */
export function filterConditions(filter: DeadLetterFilter): Conditions {
  const conditions = new Conditions();
  const { code, destination, token, since, until } = filter;
  if (code !== undefined) conditions.add("code = ?", code);
  if (destination !== undefined) conditions.add("destination = ?", destination);
  if (token !== undefined) conditions.add("token = ?", token);
  if (since !== undefined) conditions.add("created_at >= ?", since);
  if (until !== undefined) conditions.add("created_at < ?", until);
  return conditions;
}

/** Conditions that selected letters meet. */
export function selectionConditions({ ids, filter }: ResolvedSelection): Conditions {
  if (ids !== undefined) return new Conditions().add("id = ANY (?::bigint[])", ids);
  return filterConditions(filter ?? {});
}
