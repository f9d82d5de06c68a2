#!/usr/bin/env node
/**
 * `millrace-buffer`: looks into buffer files and repairs them.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { messageOf } from "../../errors.ts";
import { check, describe } from "./check.ts";
import { exportPayloads } from "./export.ts";
import { repair, requeueClaims } from "./repair.ts";

const USAGE = `Usage: millrace-buffer COMMAND FILE [OPTIONS]

  check FILE [--json]
      Reads the whole file and tells what is in it. Changes nothing; may run beside an agent.
  export FILE [--pending-only] [--format ndjson|frames] [--token-hash HASH]
      Writes the payloads to stdout, oldest first: as lines of JSON with the payload as text or
      base64, or as frames of the wire protocol, to be sent to an ingest server.
      Changes nothing; may run beside an agent.
  repair FILE [--force] [--json]
      Makes a new file of what can be read of a damaged one, which is kept as FILE.corrupt-TIME.
      Ids, claims and totals stay. With --force also when the file is sound.
  requeue FILE --force [--batch ID] [--json]
      Makes payloads that a dead process had claimed pending again, in new batches. A claimed batch
      may have landed already; an agent would find it in the ledger by its id. A new batch has
      another id: what had landed LANDS TWICE. Starting an agent is the safe way.

repair and requeue need the agent stopped.
Exit code: 0 done, and check found the file sound; 1 check found damage; 2 could not be done.
`;

const SOUND = 0;
const DAMAGED = 1;
const FAILED = 2;

process.stdout.on("error", () => process.exit(FAILED));
try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`millrace-buffer: ${messageOf(error)}\n`);
  process.exitCode = FAILED;
}

async function run(commandLine: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: commandLine,
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h" },
      json: { type: "boolean" },
      force: { type: "boolean" },
      batch: { type: "string" },
      "pending-only": { type: "boolean" },
      format: { type: "string", default: "ndjson" },
      "token-hash": { type: "string", default: "0000000" },
    },
  });
  const [command, path, ...rest] = positionals;
  if (values.help === true) {
    process.stdout.write(USAGE);
    return SOUND;
  }
  if (command === undefined || path === undefined || rest.length > 0) {
    process.stderr.write(USAGE);
    return FAILED;
  }
  const print = (report: unknown, lines: string[]) =>
    process.stdout.write(
      values.json === true ? `${JSON.stringify(report)}\n` : `${lines.join("\n")}\n`,
    );
  switch (command) {
    case "check": {
      const report = check(path);
      print(report, describe(report, Date.now()));
      return report.damage === undefined ? SOUND : DAMAGED;
    }
    case "export": {
      const { format, "token-hash": tokenHash, "pending-only": pendingOnly = false } = values;
      if (format !== "ndjson" && format !== "frames") {
        throw new TypeError(`--format is ndjson or frames, not ${format}`);
      }
      if (!/^[0-9a-f]{7}$/.test(tokenHash)) {
        throw new TypeError("--token-hash is 7 hexadecimal digits");
      }
      const rows = await exportPayloads(path, { format, tokenHash, pendingOnly }, process.stdout);
      process.stderr.write(`${rows} payloads\n`);
      return SOUND;
    }
    case "repair": {
      const report = repair(path, values.force ?? false);
      const summary =
        report === undefined
          ? "sound, nothing to repair"
          : `${report.recoveredRows} payloads recovered, ${report.lostRows} lost${report.isCountKnown ? "" : ", perhaps more"}; the damaged file is ${report.setAside}`;
      print(report ?? null, [`${path}: ${summary}`]);
      return SOUND;
    }
    case "requeue": {
      if (values.force !== true) {
        throw new Error(
          "requeue makes what has landed already land twice; an agent that is started takes the same batches over safely. --force does it nevertheless",
        );
      }
      const batches = requeueClaims(path, values.batch);
      print(
        batches,
        batches.length === 0
          ? ["nothing is claimed by a process that is gone"]
          : batches.map(
              ({ batchId, rows }) => `batch ${batchId}: ${rows} payloads are pending again`,
            ),
      );
      return SOUND;
    }
    default:
      process.stderr.write(`millrace-buffer: there is no command ${command}\n\n${USAGE}`);
      return FAILED;
  }
}
