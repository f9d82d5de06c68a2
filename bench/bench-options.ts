import { parseArgs } from "node:util";

export const USAGE = `Measures Millrace against limits measured in the same run. See bench/README.md.

  npm run bench -- ingest|http|drain|commit|adaptive|e2e|supervisor|queue [options]

  ingest  TCP to buffer, against a server that stores nothing and against SQLite alone
  http    HTTP to buffer, against a node:http server that only reads the bodies
  drain   buffer to PostgreSQL, against a plain COPY of the same rows
  commit  the drain with synchronous_commit off against on, in batches of 500 and 5,000
  adaptive  what a pool finds by itself against the best fixed one, also +5 ms away, on one CPU and shared
  e2e     TCP to PostgreSQL at full speed; fails when a row is lost or doubled
  supervisor  up, restarts, memory, rolling restarts, orphans, against PM2 and supervisord
  queue   the queue's gate against plain BullMQ, each over a Redis of its own

  --runs N         how often each thing is measured, in turns (3)
  --seconds N      ingest, http, e2e: how long each run sends (5; e2e 10)
  --connections N  ingest, http, e2e: connections at a time (8 kept ones; http 32; ingest also 32 of one payload each)
  --payloads N     drain, commit, adaptive: payloads in the buffer, one record each (100000)
  --json           one JSON document instead of a table
  --help           this text`;

const BENCHMARKS = [
  "ingest",
  "http",
  "drain",
  "commit",
  "adaptive",
  "e2e",
  "supervisor",
  "queue",
] as const;

type BenchmarkName = (typeof BENCHMARKS)[number];

export interface BenchOptions {
  benchmark: BenchmarkName;
  runs: number;
  /** Undefined: the benchmark's own default. */
  seconds: number | undefined;
  connections: number | undefined;
  payloads: number;
  isJson: boolean;
}

/** @throws {@link Error} with a line for the user. */
export function readOptions(): BenchOptions | "help" {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: { type: "string", default: "3" },
      seconds: { type: "string" },
      connections: { type: "string" },
      payloads: { type: "string", default: "100000" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const [name, ...others] = positionals;
  const benchmark = BENCHMARKS.find((known) => known === name);
  if (benchmark === undefined || others.length > 0) {
    throw new Error(`name one of ${BENCHMARKS.join(", ")}, not "${positionals.join(" ")}"`);
  }
  return {
    benchmark,
    runs: wholeNumber("--runs", values.runs, 1_000),
    seconds:
      values.seconds === undefined ? undefined : wholeNumber("--seconds", values.seconds, 600),
    connections:
      values.connections === undefined
        ? undefined
        : wholeNumber("--connections", values.connections, 4_000),
    payloads: wholeNumber("--payloads", values.payloads, 10_000_000),
    isJson: values.json,
  };
}

function wholeNumber(option: string, text: string, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= max) return value;
  throw new Error(`${option} takes a whole number from 1 to ${max}, not "${text}"`);
}
