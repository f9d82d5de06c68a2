import type { BenchOptions } from "../bench-options.ts";
import type { BenchReport } from "../report/measurement.ts";
import { runDrainRounds } from "./drain-rounds.ts";
import { measureDrain } from "./measured-drain.ts";

const BATCH_ROWS = [500, 5_000] as const;
const WORKERS = 2;

/** Lands the same rows with commits that wait for the disk and with a barrier behind those that do not. */
export function benchCommit(options: BenchOptions): Promise<BenchReport> {
  return runDrainRounds(options, async (round, keep) => {
    for (const batchRows of BATCH_ROWS) {
      const measure = async (synchronousCommit: "on" | "off") => {
        const subject = `${synchronousCommit}, ${batchRows.toLocaleString("en-US")} rows a batch`;
        const tuning = { batchRows, synchronousCommit };
        const measured = await measureDrain(round, subject, WORKERS, tuning);
        keep(measured);
        return measured.metrics;
      };
      // Whoever comes second may find warmer caches: in turns.
      const isOnFirst = round.run % 2 === 1;
      const first = await measure(isOnFirst ? "on" : "off");
      const second = await measure(isOnFirst ? "off" : "on");
      const [on, off] = isOnFirst ? [first, second] : [second, first];
      off.ofOn = (off.rowsPerSecond ?? Number.NaN) / (on.rowsPerSecond ?? Number.NaN);
    }
  });
}
