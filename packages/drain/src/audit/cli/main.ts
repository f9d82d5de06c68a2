#!/usr/bin/env node
/**
 * `millrace-audit`: tells what has become of what was accepted.
 *
 * @module
 */
import { connectTo } from "../../cli/database-url.ts";
import { loadSchema } from "../../cli/load-schema.ts";
import { runCommand } from "../../cli/run-command.ts";
import { audit } from "../audit.ts";
import { readCommandLine, USAGE } from "./command-line.ts";
import { linesOf } from "./show-report.ts";

const COMPLETE = 0;
const INCOMPLETE = 1;

await runCommand("millrace-audit", run);

async function run(args: string[]): Promise<number> {
  const order = readCommandLine(args, process.env);
  if (order.wantsHelp) {
    process.stdout.write(USAGE);
    return COMPLETE;
  }
  const { database, schema, isJson, from, to, bufferPaths } = order;
  const report = await audit({
    destination: connectTo(database, "millrace-audit"),
    schema: await loadSchema(schema),
    bufferPaths,
    from,
    to,
  });
  const text = isJson ? JSON.stringify(report) : linesOf(report).join("\n");
  process.stdout.write(`${text}\n`);
  return report.isComplete ? COMPLETE : INCOMPLETE;
}
