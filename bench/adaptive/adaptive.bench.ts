import { setTimeout as delay } from "node:timers/promises";
import type { BenchOptions } from "../bench-options.ts";
import { runDrainRounds } from "../drain/drain-rounds.ts";
import { measureDrain, type Round } from "../drain/measured-drain.ts";
import type { DrainTuning } from "../drain/pool-drain.ts";
import type { BenchReport, Measurement } from "../report/measurement.ts";
import { type Scenario, scenarios } from "./scenarios.ts";

const FIXED_WORKERS = [1, 2, 4] as const;
/** Threads that an adaptive pool may use. */
const ADAPTIVE_WORKERS = 4;
const ALONE_MS = 5_000;

/** What a pool finds by itself against the best that is found by hand, in four circumstances. */
export function benchAdaptive(options: BenchOptions): Promise<BenchReport> {
  return runDrainRounds(options, async (round, keep) => {
    for await (const scenario of scenarios(round.service)) {
      await measureScenario({ ...round, reach: (url) => scenario.reach(url) }, scenario, keep);
      await scenario.end();
    }
  });
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
