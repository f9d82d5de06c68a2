import { join } from "node:path";
import { startPostgres } from "@millrace/services";
import type { BenchOptions } from "../bench-options.ts";
import type { BenchReport, Measurement } from "../report/measurement.ts";
import { reportProgress } from "../report/progress.ts";
import { createTemporaryFolder } from "../temporary-folder.ts";
import { prepareDrainRows } from "./drain-rows.ts";
import type { Round } from "./measured-drain.ts";

/** What a batch of the drain has by default. */
const ROWS_PER_TRANSACTION = 5_000;

/** Fills a buffer, starts PostgreSQL, and has the same rows measured once a round. */
export async function runDrainRounds(
  options: BenchOptions,
  measureRound: (round: Round, keep: (measurement: Measurement) => void) => Promise<void>,
): Promise<BenchReport> {
  const folder = createTemporaryFolder();
  process.stderr.write(`filling a buffer with ${options.payloads} payloads\n`);
  const rows = await prepareDrainRows(folder, options.payloads, ROWS_PER_TRANSACTION);
  const service = await startPostgres();
  const measurements: Measurement[] = [];
  const keep = (measurement: Measurement) => {
    measurements.push(measurement);
    reportProgress(measurement, options.runs);
  };
  for (let run = 1; run <= options.runs; run++) {
    await measureRound({ run, rows, service, bufferPath: join(folder, "round.db") }, keep);
  }
  const postgresVersion = service.version;
  await service.remove();
  return { postgresVersion, measurements };
}
