import { copyFileSync } from "node:fs";
import type { PostgresService } from "@millrace/services";
import { createBenchDatabase } from "../postgres/bench-database.ts";
import { checkLandedRows } from "../postgres/landed-rows.ts";
import { startMeasuredProcess } from "../process/measured-process.ts";
import type { Measurement } from "../report/measurement.ts";
import { usageMetrics } from "../report/usage-metrics.ts";
import { removeDatabase } from "../temporary-folder.ts";
import { DRAIN_RUN, type DrainRows } from "./drain-rows.ts";
import type { DrainTuning, Landing, PoolDrainCalls } from "./pool-drain.ts";

export interface Round {
  run: number;
  rows: DrainRows;
  service: PostgresService;
  /** Scratch file of the round. */
  bufferPath: string;
  /** What a drain connects to for a database of the service. @default itself */
  reach?: (databaseUrl: string) => string;
}

/** Lands the rows of a round with a drain pool, in a fresh database. */
export function measureDrain(
  round: Round,
  subject: string,
  workers: number,
  tuning: DrainTuning = {},
): Promise<Measurement> {
  return inFreshDatabase(round, subject, async (databaseUrl) => {
    const { bufferPath, rows, service } = round;
    copyFileSync(rows.bufferPath, bufferPath);
    const drain = startMeasuredProcess<PoolDrainCalls>(new URL("pool-drain.ts", import.meta.url));
    const landing = await drain.call("land", {
      bufferPath,
      databaseUrl: round.reach?.(databaseUrl) ?? databaseUrl,
      postmasterPid: service.pid,
      workers,
      tuning,
      payloads: rows.payloads,
    });
    await drain.close();
    removeDatabase(bufferPath);
    const { lateRowsPerSecond } = landing;
    return { ...landingMetrics(landing, rows.payloads), lateRowsPerSecond };
  });
}

/** Counts afterwards that every row is there once. */
export async function inFreshDatabase(
  { run, rows, service }: Round,
  subject: string,
  land: (databaseUrl: string) => Promise<Measurement["metrics"]>,
): Promise<Measurement> {
  const database = await createBenchDatabase(service);
  const metrics = await land(database.url);
  await checkLandedRows(database.url, DRAIN_RUN, rows.payloads);
  await database.drop();
  return { subject, run, metrics };
}

export function landingMetrics({ seconds, usage }: Landing, rows: number): Measurement["metrics"] {
  return { rowsPerSecond: rows / seconds, ...usageMetrics(usage, rows) };
}
