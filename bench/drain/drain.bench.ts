import type { BenchOptions } from "../bench-options.ts";
import { startMeasuredProcess } from "../process/measured-process.ts";
import type { BenchReport, Measurement } from "../report/measurement.ts";
import { runDrainRounds } from "./drain-rounds.ts";
import { inFreshDatabase, landingMetrics, measureDrain, type Round } from "./measured-drain.ts";
import type { PlainCopyCalls } from "./plain-copy.ts";
import { findPsql, runPsqlCopy } from "./psql-copy.ts";

const WORKERS = [1, 2, 4] as const;

/** What the drain does besides COPY, taken away piece by piece; with 2 workers. */
const SHARES = ["rollups", "upserts and rollups"] as const;
/** Threads that an adaptive pool may use; more than pay here. */
const ADAPTIVE_WORKERS = 4;

/** Lands the same rows from the buffer and by plain COPY, in turns, each time in a fresh database. */
export function benchDrain(options: BenchOptions): Promise<BenchReport> {
  const psql = findPsql();
  return runDrainRounds(options, async (round, keep) => {
    const fixed: number[] = [];
    for (const width of WORKERS) {
      const copy = await measureCopy(round, width, false);
      const drain = await measureDrain(round, `drain, ${count(width, "worker")}`, width);
      drain.metrics.ofCopy = rate(drain) / rate(copy);
      fixed.push(rate(drain));
      keep(drain);
      keep(copy);
    }
    const adaptive = await measureDrain(
      round,
      `drain, adaptive up to ${ADAPTIVE_WORKERS}`,
      ADAPTIVE_WORKERS,
      { isAdaptive: true },
    );
    adaptive.metrics.ofBest = rate(adaptive) / Math.max(...fixed);
    keep(adaptive);
    for (const without of SHARES) {
      keep(await measureDrain(round, `drain, 2 workers, no ${without}`, 2, { without }));
    }
    keep(await measureCopy(round, 2, true));
    if (psql !== undefined) keep(await measurePsql(round, psql));
  });
}

function measureCopy(round: Round, connections: number, hasLedger: boolean): Promise<Measurement> {
  return inFreshDatabase(
    round,
    `COPY${hasLedger ? " and ledger" : ""}, ${count(connections, "connection")}`,
    async (databaseUrl) => {
      const { rows, service } = round;
      const copy = startMeasuredProcess<PlainCopyCalls>(new URL("plain-copy.ts", import.meta.url));
      const landing = await copy.call("land", {
        databaseUrl,
        postmasterPid: service.pid,
        connections,
        copyPath: rows.copyPath,
        transactions: rows.transactions,
        hasLedger,
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

function rate({ metrics }: Measurement): number {
  return metrics.rowsPerSecond ?? Number.NaN;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
