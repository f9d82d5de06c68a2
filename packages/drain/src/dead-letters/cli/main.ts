#!/usr/bin/env node
/**
 * `millrace-dead-letters`: shows, replays and discards what could not land.
 *
 * @module
 */
import { connectTo } from "../../cli/database-url.ts";
import { loadSchema } from "../../cli/load-schema.ts";
import { FAILED, runCommand } from "../../cli/run-command.ts";
import { type DeadLetters, openDeadLetters } from "../dead-letters.ts";
import { type Order, readCommandLine, USAGE } from "./command-line.ts";
import { listLetters, showLetter } from "./show-letters.ts";

const DONE = 0;
const LEFT_OVER = 1;
/** How often a replay or discard tells how far it is, in milliseconds. */
const PROGRESS_MS = 1_000;

await runCommand("millrace-dead-letters", run);

async function run(args: string[]): Promise<number> {
  const order = readCommandLine(args, process.env);
  if (order.wantsHelp) {
    process.stdout.write(USAGE);
    return DONE;
  }
  if (order.command === undefined) {
    process.stderr.write(USAGE);
    return FAILED;
  }
  const deadLetters = openDeadLetters(
    {
      destination: connectTo(order.database, "millrace-dead-letters"),
      schema: order.command === "replay" ? await loadSchema(order.schema) : [],
    },
    { makesTables: order.command === "replay" },
  );
  try {
    return await carryOut(deadLetters, order);
  } finally {
    await deadLetters.close();
  }
}

async function carryOut(deadLetters: DeadLetters, order: Order): Promise<number> {
  switch (order.command) {
    case "list":
      await listLetters(deadLetters, order, process.stdout);
      return DONE;
    case "show": {
      if (order.id === undefined) throw new TypeError("show which letter? show ID");
      const isThere = await showLetter(deadLetters, order.id, order, process.stdout);
      if (isThere) return DONE;
      process.stderr.write(`there is no letter ${order.id}\n`);
      return LEFT_OVER;
    }
    case "replay": {
      const { selection } = order;
      if (selection === undefined)
        throw new TypeError("replay which letters? --id, a filter, --all");
      const result = await withProgress(deadLetters, () => deadLetters.replay(selection));
      const reasons = Object.entries(result.byReason).map(([code, count]) => `${count} ${code}`);
      print(order, result, [
        `${result.replayed} letters have landed, ${result.stillDead} are still dead${reasons.length > 0 ? `: ${reasons.join(", ")}` : ""}`,
      ]);
      return result.stillDead === 0 ? DONE : LEFT_OVER;
    }
    case "discard": {
      const { selection } = order;
      if (selection === undefined)
        throw new TypeError("discard which letters? --id, a filter, --all");
      if (!order.isForced) throw new Error("discard deletes letters for good: --force does it");
      const discarded = await withProgress(deadLetters, () => deadLetters.discard(selection));
      print(order, { discarded }, [`${discarded} letters are gone`]);
      return DONE;
    }
    case undefined:
    default:
      process.stderr.write(USAGE);
      return FAILED;
  }
}

async function withProgress<Result>(
  deadLetters: DeadLetters,
  work: () => Promise<Result>,
): Promise<Result> {
  const timer = setInterval(() => {
    const { replayed, discarded } = deadLetters.status();
    process.stderr.write(`${replayed + discarded} letters so far\n`);
  }, PROGRESS_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

function print({ isJson }: Order, report: unknown, lines: string[]): void {
  process.stdout.write(isJson ? `${JSON.stringify(report)}\n` : `${lines.join("\n")}\n`);
}
