import { join } from "node:path";
import { startPostgres } from "@millrace/services";
import type { BenchOptions } from "../bench-options.ts";
import type { BenchReport, Measurement } from "../report/measurement.ts";
import { reportProgress } from "../report/progress.ts";
import { createTemporaryFolder } from "../temporary-folder.ts";
import { prepareDrainRows } from "./drain-rows.ts";
import { measureDrain, type Round } from "./measured-drain.ts";

const BATCH_ROWS = [500, 5_000] as const;
const WORKERS = 2;

/** Lands the same rows with commits that wait for the disk and with a barrier behind those that do not. */
export async function benchCommit(options: BenchOptions): Promise<BenchReport> {
  const folder = createTemporaryFolder();
  process.stderr.write(`filling a buffer with ${options.payloads} payloads\n`);
  const rows = await prepareDrainRows(folder, options.payloads, 5_000);
  const service = await startPostgres();
  const measurements: Measurement[] = [];
  for (let run = 1; run <= options.runs; run++) {
    const round: Round = { run, rows, service, bufferPath: join(folder, "round.db") };
    for (const batchRows of BATCH_ROWS) {
      const measure = async (synchronousCommit: "on" | "off") => {
        const subject = `${synchronousCommit}, ${batchRows.toLocaleString("en-US")} rows a batch`;
        const measured = await measureDrain(round, subject, WORKERS, {
          batchRows,
          synchronousCommit,
        });
        reportProgress(measured, options.runs);
        measurements.push(measured);
        return measured.metrics;
      };
      // Whoever comes second may find warmer caches: in turns.
      const isOnFirst = run % 2 === 1;
      const first = await measure(isOnFirst ? "on" : "off");
      const second = await measure(isOnFirst ? "off" : "on");
      const [on, off] = isOnFirst ? [first, second] : [second, first];
      off.ofOn = (off.rowsPerSecond ?? Number.NaN) / (on.rowsPerSecond ?? Number.NaN);
    }
  }
  const postgresVersion = service.version;
  await service.remove();
  return { postgresVersion, measurements };
}
