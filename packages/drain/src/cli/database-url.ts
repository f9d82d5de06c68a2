import { postgres, type PostgresDestination } from "../postgres.ts";

/** The database of a command: the one on the command line, else that of the environment, else "". */
export function readDatabaseUrl(
  named: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  return named ?? environment["MILLRACE_DATABASE_URL"] ?? "";
}

/** @throws {TypeError} when no database is named. */
export function connectTo(url: string, applicationName: string): PostgresDestination {
  if (url === "") throw new TypeError("name a database: MILLRACE_DATABASE_URL");
  return postgres({ connectionString: url, applicationName });
}
