import { parseArgs } from "node:util";
import { readDatabaseUrl } from "../../cli/database-url.ts";
import { readTime } from "../../cli/read-time.ts";
import type { DeadLetterFilter, DeadLetterSelection } from "../dead-letter-options.ts";

export const USAGE = `Usage: millrace-dead-letters COMMAND [OPTIONS]

  list [FILTER] [--limit N] [--json]
      Tells of letters, the newest first: up to N of them (100).
  show ID [--raw] [--json]
      Tells of one letter with its content; with --raw writes nothing but its bytes.
  replay SELECTION [--schema MODULE] [--json]
      Lands letters in their tables, each once, and deletes them. What still cannot land stays.
      MODULE exports the schema of the drain as "schema" or by default; without it, nightwatch().
  discard SELECTION --force [--json]
      Deletes letters for good.

  FILTER     --code CODE, --destination TABLE, --token NAME,
             --since TIME, --until TIME (ISO 8601; when the letter was written)
  SELECTION  a FILTER, or --id ID (again for more), or --all

  --database URL  the database; better in MILLRACE_DATABASE_URL: others can read a command line

Exit code: 0 done; 1 letters are still dead after a replay, or there is no such letter;
2 could not be done.
`;

/** What a person asked for. */
export interface Order {
  command: string | undefined;
  id: number | undefined;
  database: string;
  filter: DeadLetterFilter;
  selection: DeadLetterSelection | undefined;
  limit: number;
  schema: string | undefined;
  isJson: boolean;
  isRaw: boolean;
  isForced: boolean;
  wantsHelp: boolean;
}

/** @throws {TypeError} for what it does not understand. */
export function readCommandLine(
  args: string[],
  environment: Readonly<Record<string, string | undefined>>,
): Order {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h" },
      database: { type: "string" },
      json: { type: "boolean" },
      raw: { type: "boolean" },
      force: { type: "boolean" },
      all: { type: "boolean" },
      id: { type: "string", multiple: true },
      code: { type: "string" },
      destination: { type: "string" },
      token: { type: "string" },
      since: { type: "string" },
      until: { type: "string" },
      limit: { type: "string", default: "100" },
      schema: { type: "string" },
    },
  });
  const [command, shown, ...rest] = positionals;
  if (rest.length > 0) throw new TypeError(`what is ${rest.join(" ")} for?`);
  if (shown !== undefined && command !== "show") {
    throw new TypeError(`${command} takes --id ${shown}, or a filter`);
  }
  const filter = {
    code: values.code,
    destination: values.destination,
    token: values.token,
    since: readTime("--since", values.since),
    until: readTime("--until", values.until),
  };
  const hasFilter = Object.values(filter).some((value) => value !== undefined);
  return {
    command,
    id: shown === undefined ? undefined : readNumber("the id", shown),
    database: readDatabaseUrl(values.database, environment),
    filter,
    selection: readSelection(values.id, hasFilter ? filter : undefined, values.all === true),
    limit: readNumber("--limit", values.limit),
    schema: values.schema,
    isJson: values.json === true,
    isRaw: values.raw === true,
    isForced: values.force === true,
    wantsHelp: values.help === true,
  };
}

/** Nothing is everything only when somebody says so. */
function readSelection(
  ids: readonly string[] | undefined,
  filter: DeadLetterFilter | undefined,
  isAll: boolean,
): DeadLetterSelection | undefined {
  const given = [ids !== undefined, filter !== undefined, isAll].filter(Boolean).length;
  if (given > 1) throw new TypeError("--id, --all and a filter exclude one another");
  if (ids !== undefined) return { ids: ids.map((id) => readNumber("--id", id)) };
  return given === 0 ? undefined : { filter: filter ?? {} };
}

function readNumber(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new TypeError(`${name} is a whole number from 1, not ${text}`);
}
