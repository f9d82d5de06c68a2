import { quoteIdentifier } from "../schema/identifier.ts";
import { type RollupColumn, rollupColumns } from "./rollup-columns.ts";
import type { RollupDefinition } from "./rollup.ts";

/**
 * The `INSERT ... ON CONFLICT DO UPDATE` of a rollup's table: one `text[]` parameter a column, cast in
 * the statement. Rows are inserted, and so locked, in the order of the arrays.
 */
export function rollupSql(rollup: RollupDefinition): string {
  const columns = rollupColumns(rollup);
  const names = columns.map(({ name }) => name);
  const keys = columns.filter(({ merge }) => merge === "key").map(({ name }) => name);
  const updates = columns.flatMap(updateOf);
  const parameters = columns.map((_, index) => `$${index + 1}::text[]`);
  const aliases = columns.map((_, index) => `value${index + 1}`);
  const casts = columns.map(({ sqlType }, index) => `value${index + 1}::${sqlType}`);
  return [
    `INSERT INTO ${quoteIdentifier(rollup.name)} AS stored (${names.join(", ")})`,
    `SELECT ${casts.join(", ")}`,
    `FROM unnest(${parameters.join(", ")}) AS batch (${aliases.join(", ")})`,
    `ON CONFLICT (${keys.join(", ")}) DO UPDATE SET ${updates.join(", ")}`,
  ].join("\n");
}

function updateOf({ name, merge }: RollupColumn): string[] {
  const [stored, excluded] = [`stored.${name}`, `excluded.${name}`];
  switch (merge) {
    case "key":
      return [];
    case "add":
      return [`${name} = ${stored} + ${excluded}`];
    case "least":
      return [`${name} = LEAST(${stored}, ${excluded})`];
    case "greatest":
      return [`${name} = GREATEST(${stored}, ${excluded})`];
    case "sketch":
      return [`${name} = millrace_sketch_merge(${stored}, ${excluded})`];
    case "latest":
      // A column that was dropped and made again has no moment for older rows.
      return [
        `${name} = CASE WHEN stored.last_seen_at > excluded.last_seen_at THEN ${stored} ELSE ${excluded} END`,
      ];
    default:
      return merge satisfies never;
  }
}
