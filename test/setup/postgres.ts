import { findTestPostgres } from "@millrace/services";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** Connection URL of a user that may create databases. */
    postgresUrl: string;
  }
}

/** Starts the one PostgreSQL that all integration tests share, and removes it after the run. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await findTestPostgres();
  project.provide("postgresUrl", postgres.url);
  return () => postgres.remove();
}
