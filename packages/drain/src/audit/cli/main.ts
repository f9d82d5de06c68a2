#!/usr/bin/env node
/**
 * `millrace-audit`: tells what has become of what was accepted.
 *
 * @module
 */
import { messageOf } from "@millrace/core";
import { loadSchema } from "../../cli/load-schema.ts";
import { postgres } from "../../postgres.ts";
import { audit } from "../audit.ts";
import { readCommandLine, USAGE } from "./command-line.ts";
import { linesOf } from "./show-report.ts";

const COMPLETE = 0;
const INCOMPLETE = 1;
const FAILED = 2;

process.stdout.on("error", () => process.exit(FAILED));
try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`millrace-audit: ${messageOf(error)}\n`);
  process.exitCode = FAILED;
}

async function run(args: string[]): Promise<number> {
  const order = readCommandLine(args, process.env);
  if (order.wantsHelp) {
    process.stdout.write(USAGE);
    return COMPLETE;
  }
  const { database, schema, isJson, from, to, bufferPaths } = order;
  if (database === "") throw new TypeError("name a database: MILLRACE_DATABASE_URL");
  const report = await audit({
    destination: postgres({ connectionString: database, applicationName: "millrace-audit" }),
    schema: await loadSchema(schema),
    bufferPaths,
    from,
    to,
  });
  const text = isJson ? JSON.stringify(report) : linesOf(report).join("\n");
  process.stdout.write(`${text}\n`);
  return report.isComplete ? COMPLETE : INCOMPLETE;
}
