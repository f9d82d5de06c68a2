import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { type PostgresService, startPostgres } from "@millrace/services";
import type { BenchOptions } from "../bench-options.ts";
import { createBenchDatabase } from "../postgres/bench-database.ts";
import { checkLandedRows } from "../postgres/landed-rows.ts";
import { startMeasuredProcess } from "../process/measured-process.ts";
import type { BenchReport, Measurement } from "../report/measurement.ts";
import { reportProgress } from "../report/progress.ts";
import { usageMetrics } from "../report/usage-metrics.ts";
import { createTemporaryFolder, removeDatabase } from "../temporary-folder.ts";
import { DRAIN_RUN, type DrainRows, prepareDrainRows } from "./drain-rows.ts";
import type { PlainCopyCalls } from "./plain-copy.ts";
import type { Landing, PoolDrainCalls } from "./pool-drain.ts";
import { findPsql, runPsqlCopy } from "./psql-copy.ts";

const WORKERS = [1, 2, 4] as const;
/** What a batch of the drain has by default. */
const ROWS_PER_TRANSACTION = 5_000;

interface Round {
  run: number;
  rows: DrainRows;
  service: PostgresService;
  /** Scratch file of the round. */
  bufferPath: string;
}

/** Lands the same rows from the buffer and by plain COPY, in turns, each time in a fresh database. */
export async function benchDrain(options: BenchOptions): Promise<BenchReport> {
  const folder = createTemporaryFolder();
  process.stderr.write(`filling a buffer with ${options.payloads} payloads\n`);
  const rows = await prepareDrainRows(folder, options.payloads, ROWS_PER_TRANSACTION);
  const service = await startPostgres();
  const psql = findPsql();
  const measurements: Measurement[] = [];
  const keep = (measurement: Measurement) => {
    measurements.push(measurement);
    reportProgress(measurement, options.runs);
  };
  for (let run = 1; run <= options.runs; run++) {
    const round = { run, rows, service, bufferPath: join(folder, "round.db") };
    for (const width of WORKERS) {
      const copy = await measureCopy(round, width);
      const drain = await measureDrain(round, width);
      drain.metrics.ofCopy =
        (drain.metrics.rowsPerSecond ?? Number.NaN) / (copy.metrics.rowsPerSecond ?? 0);
      keep(drain);
      keep(copy);
    }
    if (psql !== undefined) keep(await measurePsql(round, psql));
  }
  const postgresVersion = service.version;
  await service.remove();
  return { postgresVersion, measurements };
}

function measureDrain(round: Round, workers: number): Promise<Measurement> {
  return inFreshDatabase(round, `drain, ${count(workers, "worker")}`, async (databaseUrl) => {
    const { bufferPath, rows, service } = round;
    copyFileSync(rows.bufferPath, bufferPath);
    const drain = startMeasuredProcess<PoolDrainCalls>(new URL("pool-drain.ts", import.meta.url));
    const landing = await drain.call("land", {
      bufferPath,
      databaseUrl,
      postmasterPid: service.pid,
      workers,
      payloads: rows.payloads,
    });
    await drain.close();
    removeDatabase(bufferPath);
    return landingMetrics(landing, rows.payloads);
  });
}

function measureCopy(round: Round, connections: number): Promise<Measurement> {
  return inFreshDatabase(
    round,
    `COPY, ${count(connections, "connection")}`,
    async (databaseUrl) => {
      const { rows, service } = round;
      const copy = startMeasuredProcess<PlainCopyCalls>(new URL("plain-copy.ts", import.meta.url));
      const landing = await copy.call("land", {
        databaseUrl,
        postmasterPid: service.pid,
        connections,
        copyPath: rows.copyPath,
        transactions: rows.transactions,
      });
      await copy.close();
      return landingMetrics(landing, rows.payloads);
    },
  );
}

function measurePsql(round: Round, psql: string): Promise<Measurement> {
  return inFreshDatabase(round, String.raw`psql \copy, 1 connection`, async (databaseUrl) => {
    const { rows, service } = round;
    const { seconds, postgresCpuSeconds } = await runPsqlCopy({
      psql,
      databaseUrl,
      postmasterPid: service.pid,
      rows,
    });
    return {
      rowsPerSecond: rows.payloads / seconds,
      ...(postgresCpuSeconds !== undefined && {
        postgresCpuSecondsPer1000: (postgresCpuSeconds / rows.payloads) * 1_000,
      }),
    };
  });
}

async function inFreshDatabase(
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

function landingMetrics({ seconds, usage }: Landing, rows: number): Measurement["metrics"] {
  return { rowsPerSecond: rows / seconds, ...usageMetrics(usage, rows) };
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
