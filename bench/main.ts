import { type BenchOptions, readOptions, USAGE } from "./bench-options.ts";
import { benchAdaptive } from "./adaptive/adaptive.bench.ts";
import { benchCommit } from "./drain/commit.bench.ts";
import { benchDrain } from "./drain/drain.bench.ts";
import { benchEndToEnd } from "./e2e/e2e.bench.ts";
import { benchHttp } from "./http/http.bench.ts";
import { benchIngest } from "./ingest/ingest.bench.ts";
import { describeMachine } from "./machine.ts";
import { benchQueue } from "./queue/queue.bench.ts";
import { summarise } from "./report/measurement.ts";
import { resultTable } from "./report/result-table.ts";
import { benchSupervisor } from "./supervisor/supervisor.bench.ts";

const BENCHMARKS = {
  ingest: benchIngest,
  http: benchHttp,
  drain: benchDrain,
  commit: benchCommit,
  adaptive: benchAdaptive,
  e2e: benchEndToEnd,
  supervisor: benchSupervisor,
  queue: benchQueue,
};
/** The exit codes that a shell gives to what these signals end. */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

for (const [signal, exitCode] of Object.entries(SIGNAL_EXIT_CODES)) {
  // What has to be ended or removed hangs on the exit of this process.
  process.once(signal, () => process.exit(exitCode));
}

const options = parseCommandLine();
if (options === "help") console.log(USAGE);
else await run(options).catch(fail);

async function run(chosen: BenchOptions): Promise<void> {
  const machine = describeMachine();
  if (machine.loadBefore > machine.cpus / 4) {
    process.stderr.write(
      `The machine is busy (load ${machine.loadBefore.toFixed(2)}): expect worse and wider results.\n`,
    );
  }
  const { postgresVersion, measurements } = await BENCHMARKS[chosen.benchmark](chosen);
  machine.postgres = postgresVersion ?? null;
  const results = summarise(measurements);
  if (chosen.isJson) {
    const command = ["npm run bench --", ...process.argv.slice(2)].join(" ");
    console.log(JSON.stringify({ machine, command, runs: measurements, results }, undefined, 2));
    return;
  }
  const postgres = postgresVersion === undefined ? "" : `, PostgreSQL ${postgresVersion}`;
  console.log(`\n${resultTable(results)}\n`);
  console.log(
    `median (min-max) of ${chosen.runs} runs; ${machine.cpus} x ${machine.model}, ` +
      `Node ${machine.node}, SQLite ${machine.sqlite}${postgres}`,
  );
}

function parseCommandLine(): BenchOptions | "help" {
  try {
    return readOptions();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.error(`${reason}\n(npm run bench -- --help lists the options)`);
    return process.exit(1);
  }
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}
