import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startPostgres } from "@millrace/services";
import type { BenchOptions } from "../bench-options.ts";
import { prepareDrainRows } from "../drain/drain-rows.ts";
import { measureDrain, type Round } from "../drain/measured-drain.ts";
import type { DrainTuning } from "../drain/pool-drain.ts";
import type { BenchReport, Measurement } from "../report/measurement.ts";
import { reportProgress } from "../report/progress.ts";
import { createTemporaryFolder } from "../temporary-folder.ts";
import { type Scenario, scenarios } from "./scenarios.ts";

const FIXED_WORKERS = [1, 2, 4] as const;
/** Threads that an adaptive pool may use. */
const ADAPTIVE_WORKERS = 4;
const ALONE_MS = 5_000;

/** What a pool finds by itself against the best that is found by hand, in four circumstances. */
export async function benchAdaptive(options: BenchOptions): Promise<BenchReport> {
  const folder = createTemporaryFolder();
  process.stderr.write(`filling a buffer with ${options.payloads} payloads\n`);
  const rows = await prepareDrainRows(folder, options.payloads, 5_000);
  const service = await startPostgres();
  const measurements: Measurement[] = [];
  for (let run = 1; run <= options.runs; run++) {
    const round: Round = { run, rows, service, bufferPath: join(folder, "round.db") };
    for await (const scenario of scenarios(service)) {
      await measureScenario(
        { ...round, reach: (url) => scenario.reach(url) },
        scenario,
        (measurement) => {
          measurements.push(measurement);
          reportProgress(measurement, options.runs);
        },
      );
      await scenario.end();
    }
  }
  const postgresVersion = service.version;
  await service.remove();
  return { postgresVersion, measurements };
}

async function measureScenario(
  round: Round,
  { name, foreign }: Scenario,
  keep: (measurement: Measurement) => void,
): Promise<void> {
  let aloneMs: number | undefined;
  if (foreign !== undefined) {
    await foreign.call("takeP95");
    await delay(ALONE_MS);
    aloneMs = await foreign.call("takeP95");
    keep({
      subject: `${name}, no drain`,
      run: round.run,
      metrics: { foreignP95Ms: aloneMs },
    });
  }
  const measure = async (manner: string, workers: number, tuning: DrainTuning) => {
    await foreign?.call("takeP95");
    const measured = await measureDrain(round, `${name}, ${manner}`, workers, tuning);
    if (foreign !== undefined && aloneMs !== undefined) {
      measured.metrics.foreignP95Ms = await foreign.call("takeP95");
      measured.metrics.ofAlone = measured.metrics.foreignP95Ms / aloneMs;
    }
    return measured;
  };
  const rates: number[] = [];
  for (const workers of FIXED_WORKERS) {
    const fixed = await measure(`${workers} fixed`, workers, {});
    rates.push(fixed.metrics.lateRowsPerSecond ?? Number.NaN);
    keep(fixed);
  }
  const manners = [
    { manner: "adaptive", tuning: { isAdaptive: true } },
    ...(foreign === undefined
      ? []
      : [{ manner: "polite", tuning: { isAdaptive: true, isPolite: true } }]),
  ];
  for (const { manner, tuning } of manners) {
    const adaptive = await measure(manner, ADAPTIVE_WORKERS, tuning);
    adaptive.metrics.ofBest =
      (adaptive.metrics.lateRowsPerSecond ?? Number.NaN) / Math.max(...rates);
    keep(adaptive);
  }
}
