import { migrateWith } from "./apply-migrations.ts";
import type { PostgresDestination } from "./postgres.ts";
import type { DrainSchema } from "./schema/drain-schema.ts";
import { connect } from "./write/connection.ts";

/**
 * Creates the tables that a schema declares, and adds columns it has gained. Safe to call from many
 * processes at once and whenever one starts: a database that is up to date costs two
 * queries, and no more rights than reading `millrace_migrations`.
 *
 * @returns whether anything was done.
 * @throws {@link MillraceError} `DRAIN_DATABASE_UNREACHABLE` or `DRAIN_MIGRATION_FAILED`.
 * @example
 * ```ts
 * import { migrate, postgres } from "@millrace/drain";
 * import { nightwatch } from "@millrace/drain/nightwatch";
 *
 * const destination = postgres({ connectionString: "postgres://app@127.0.0.1:5432/telemetry" });
 * export const prepareDatabase = () => migrate({ destination, schema: nightwatch() });
 * ```
 */
export async function migrate(options: {
  destination: PostgresDestination;
  schema: DrainSchema;
}): Promise<boolean> {
  const connection = await connect(options.destination);
  try {
    return await migrateWith(connection.client, options.schema);
  } finally {
    await connection.end().catch(() => {});
  }
}
