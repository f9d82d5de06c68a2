import { createHash } from "node:crypto";
import { messageOf, MillraceError } from "@millrace/core/thread";
import type { Client } from "pg";
import { BOOKKEEPING_STATEMENTS } from "./schema/bookkeeping.ts";
import { tableStatements } from "./schema/ddl.ts";
import type { DrainSchema } from "./schema/drain-schema.ts";

/** Advisory lock of migrations: "millrace" as a number. Held by the transaction, so a pooler is fine. */
const MIGRATION_LOCK = 0x6d696c6c72616365n;

const CREATE_MIGRATIONS_TABLE = `CREATE TABLE IF NOT EXISTS millrace_migrations(
  fingerprint text PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT now()
)`;

/** Creates the tables that a schema declares, and adds columns it has gained; see `migrate`. */
export function migrateWith(client: Client, schema: DrainSchema): Promise<boolean> {
  return applyStatements(client, [...BOOKKEEPING_STATEMENTS, ...tableStatements(schema)]);
}

/**
 * Runs `statements` in one transaction, once for all agents of a database.
 *
 * @returns whether anything was done.
 */
export async function applyStatements(
  client: Client,
  statements: readonly string[],
): Promise<boolean> {
  const fingerprint = createHash("sha256").update(JSON.stringify(statements)).digest("hex");
  try {
    // Before any lock, and before CREATE TABLE: that takes rights which a running agent need not have.
    if (await hasMigrated(client, fingerprint)) return false;
    await client.query("BEGIN ISOLATION LEVEL READ COMMITTED");
    await client.query(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`);
    const isApplied = await hasMigrated(client, fingerprint);
    if (!isApplied) {
      // Whoever waits for a table's lock makes every writer behind it wait as well.
      await client.query("SET LOCAL lock_timeout = '5s'");
      await client.query(CREATE_MIGRATIONS_TABLE);
      for (const statement of statements) await client.query(statement);
      await client.query(
        `INSERT INTO millrace_migrations(fingerprint) VALUES ($1)
         ON CONFLICT (fingerprint) DO UPDATE SET applied_at = now()`,
        [fingerprint],
      );
    }
    await client.query("COMMIT");
    return !isApplied;
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    throw new MillraceError(
      "DRAIN_MIGRATION_FAILED",
      `the tables could not be created (${messageOf(error)}): the role needs CREATE on the schema`,
      { cause: error, retryable: true },
    );
  }
}

/** Forgets that the tables were made, so that the next {@link migrateWith} makes what is missing. */
export async function forgetMigrations(client: Client): Promise<void> {
  await client.query("DELETE FROM millrace_migrations");
}

async function hasMigrated(client: Client, fingerprint: string): Promise<boolean> {
  // Reading pg_class takes a lock on it, and with that the news of what others have created.
  const table = await client.query(
    "SELECT 1 FROM pg_class WHERE oid = to_regclass('millrace_migrations')",
  );
  if (table.rowCount === 0) return false;
  const { rowCount } = await client.query(
    "SELECT 1 FROM millrace_migrations WHERE fingerprint = $1",
    [fingerprint],
  );
  return rowCount === 1;
}
