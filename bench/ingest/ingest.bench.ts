import { join } from "node:path";
import { startLoadGenerator } from "@millrace/load";
import type { BenchOptions } from "../bench-options.ts";
import { clientStyles } from "../load-clients.ts";
import { startMeasuredProcess } from "../process/measured-process.ts";
import type { BenchReport, Measurement } from "../report/measurement.ts";
import { reportProgress } from "../report/progress.ts";
import { usageMetrics } from "../report/usage-metrics.ts";
import { createTemporaryFolder, removeDatabase } from "../temporary-folder.ts";
import { measureAppends } from "./append-latency.ts";
import { measureServer, type Round, WARM_UP_SECONDS } from "./measured-server.ts";
import type { ServerInput } from "./server-calls.ts";
import type { SqliteInsertsCalls } from "./sqlite-inserts.ts";

const BARE_SERVER = new URL("./bare-server.ts", import.meta.url);
const BUFFERED_SERVER = new URL("./buffered-server.ts", import.meta.url);
const SECONDS = 5;

/** Measures each thing in turn, again and again: what disturbs the machine disturbs all of them. */
export async function benchIngest(options: BenchOptions): Promise<BenchReport> {
  const folder = createTemporaryFolder();
  const generator = startLoadGenerator();
  const seconds = options.seconds ?? SECONDS;
  const measurements: Measurement[] = [];
  const keep = (measurement: Measurement) => {
    measurements.push(measurement);
    reportProgress(measurement, options.runs);
  };
  for (let run = 1; run <= options.runs; run++) {
    for (const style of clientStyles(options.connections)) {
      const round = { style, run, seconds, generator };
      const path = join(folder, `${style.name}-${run}.db`);
      const bare = await measureServer(round, "bare server", BARE_SERVER, {
        path,
        durability: "process",
      });
      keep(bare);
      for (const durability of ["process", "power"] as const) {
        const input = { path, durability };
        const ours = await measureServer(round, `ingest, ${durability}`, BUFFERED_SERVER, input);
        removeDatabase(path);
        const sqlite = await measureSqlite(round, input, ours.metrics.rowsPerCommit ?? 1);
        removeDatabase(path);
        ours.metrics.ofBareServer = ratio(ours, bare);
        ours.metrics.ofSqlite = ratio(ours, sqlite);
        keep(ours);
        keep(sqlite);
      }
    }
    for (const durability of ["process", "power"] as const) {
      const path = join(folder, `appends-${run}.db`);
      (await measureAppends(run, { path, durability, seconds })).forEach(keep);
    }
  }
  await generator.close();
  return { postgresVersion: undefined, measurements };
}

async function measureSqlite(
  { style, run, seconds }: Round,
  input: ServerInput,
  groupRows: number,
): Promise<Measurement> {
  const inserter = startMeasuredProcess<SqliteInsertsCalls>(
    new URL("sqlite-inserts.ts", import.meta.url),
  );
  const rowsPerCommit = Math.max(1, Math.round(groupRows));
  const result = await inserter.call("insert", {
    ...input,
    groupRows: rowsPerCommit,
    warmUpSeconds: WARM_UP_SECONDS,
    seconds,
  });
  await inserter.close();
  return {
    subject: `${style.name}: SQLite alone, ${input.durability}`,
    run,
    metrics: {
      payloadsPerSecond: result.rows / result.seconds,
      ...usageMetrics(result.usage, result.rows),
      rowsPerCommit,
    },
  };
}

function ratio(one: Measurement, other: Measurement): number {
  return (one.metrics.payloadsPerSecond ?? Number.NaN) / (other.metrics.payloadsPerSecond ?? 0);
}
