import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import type { PostgresUrl } from "./postgres.ts";
import { queryOnce } from "./query-once.ts";

/** An empty database for one test file. */
export interface TestDatabase {
  readonly url: string;
  /** Runs one statement on a connection of its own. */
  query<Row = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<Row[]>;
  /** Ends its connections and removes it. */
  drop(): Promise<void>;
}

/** Creates an empty database on the server that the integration tests share. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const serverUrl: PostgresUrl = inject("postgresUrl");
  const name = `test_${randomBytes(6).toString("hex")}`;
  await queryOnce(serverUrl, `CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = name;
  return {
    url: url.href,
    query: (sql, values) => queryOnce(url.href, sql, values),
    async drop() {
      await queryOnce(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}
