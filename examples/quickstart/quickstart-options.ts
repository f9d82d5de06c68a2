import { parseArgs } from "node:util";

export const USAGE = `Takes real telemetry records over TCP, keeps them in a SQLite buffer and lands them in PostgreSQL.

  npm start -- [options]

  --seconds N         how long to send (10)
  --rate N            payloads a second; 0 sends as fast as it is answered (2000)
  --port N            port that takes telemetry (2407; 0 picks a free one)
  --database-url URL  a PostgreSQL of yours instead of the one that is started here
  --once              check that every acknowledged record is in PostgreSQL, then exit: 0 if so, 1 if not
  --help              this text

Data stays in .millrace/ between runs; delete the folder to start afresh.`;

export interface QuickstartOptions {
  seconds: number;
  rate: number;
  port: number;
  databaseUrl: string | undefined;
  isOnce: boolean;
}

/** @throws {@link Error} with a line for the user when an option is unknown or no number. */
export function readOptions(): QuickstartOptions | "help" {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "10" },
      rate: { type: "string", default: "2000" },
      port: { type: "string", default: "2407" },
      "database-url": { type: "string" },
      once: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  return {
    seconds: readNumber("--seconds", values.seconds, 3_600),
    rate: readNumber("--rate", values.rate, 1_000_000),
    port: readNumber("--port", values.port, 65_535),
    databaseUrl: values["database-url"],
    isOnce: values.once,
  };
}

function readNumber(option: string, text: string, max: number): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0 && value <= max) return value;
  throw new Error(`${option} takes a number from 0 to ${max}, not "${text}"`);
}
