import { parseArgs } from "node:util";
import { readDatabaseUrl } from "../../cli/database-url.ts";
import { readTime } from "../../cli/read-time.ts";

export const USAGE = `Usage: millrace-audit [OPTIONS]

Tells what has become of what was accepted, by hour: what has landed and is in its tables, what
became dead letters, what is in the buffers, what was dropped. May run while records land.

  --from TIME      the first hour (24 hours ago); ISO 8601, whole hours in UTC are looked at
  --to TIME        the end of the last hour (now)
  --buffer FILE    a buffer that drains into the database (again for more); what is still in one
                   that is not named counts as unaccounted for
  --schema MODULE  exports the schema of the drain as "schema" or by default; without it, nightwatch()
  --json           the whole report as one line of JSON
  --database URL   the database; better in MILLRACE_DATABASE_URL: others can read a command line

Exit code: 0 everything is accounted for; 1 something is not; 2 could not be done.
`;

/** What a person asked for. */
export interface AuditOrder {
  from: Date | undefined;
  to: Date | undefined;
  bufferPaths: string[];
  schema: string | undefined;
  database: string;
  isJson: boolean;
  wantsHelp: boolean;
}

/** @throws {TypeError} for what it does not understand. */
export function readCommandLine(
  args: string[],
  environment: Readonly<Record<string, string | undefined>>,
): AuditOrder {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: "boolean", short: "h" },
      from: { type: "string" },
      to: { type: "string" },
      buffer: { type: "string", multiple: true },
      schema: { type: "string" },
      json: { type: "boolean" },
      database: { type: "string" },
    },
  });
  return {
    from: readTime("--from", values.from),
    to: readTime("--to", values.to),
    bufferPaths: values.buffer ?? [],
    schema: values.schema,
    database: readDatabaseUrl(values.database, environment),
    isJson: values.json === true,
    wantsHelp: values.help === true,
  };
}
