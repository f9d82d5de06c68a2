import { findTestPostgres } from "@millrace/services";
import type { TestProject } from "vitest/node";

/** Connection URL of a user that may create databases, on the server that all integration tests share. */
export type PostgresUrl = string;

declare module "vitest" {
  interface ProvidedContext {
    postgresUrl: PostgresUrl;
  }
}

/** Starts the one PostgreSQL of the run, and removes it afterwards. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  // The lowest version that we support.
  const postgres = await findTestPostgres(project.name === "postgres-14" ? 14 : undefined);
  project.provide("postgresUrl", postgres.url);
  return () => postgres.remove();
}
