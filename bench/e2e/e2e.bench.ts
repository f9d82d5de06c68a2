import { join } from "node:path";
import { type LoadGenerator, startLoadGenerator } from "@millrace/load";
import { type PostgresService, startPostgres } from "@millrace/services";
import type { BenchOptions } from "../bench-options.ts";
import { PIPELINE_WINDOW, PIPELINED_CONNECTIONS } from "../load-clients.ts";
import { createBenchDatabase } from "../postgres/bench-database.ts";
import { checkLandedRows } from "../postgres/landed-rows.ts";
import { startMeasuredProcess } from "../process/measured-process.ts";
import { loadMetrics } from "../report/load-metrics.ts";
import type { BenchReport, Measurement } from "../report/measurement.ts";
import { reportProgress } from "../report/progress.ts";
import { usageMetrics } from "../report/usage-metrics.ts";
import { createTemporaryFolder, removeDatabase } from "../temporary-folder.ts";
import type { AgentCalls } from "./agent-process.ts";
import { measureLandingDelay } from "./landing-delay.ts";

const SECONDS = 10;
const WARM_UP_SECONDS = 1;
/** Marks the records that are measured. */
const RUN = "measured";
/** Payloads a second; the last two are what an agent of many, or of one busy, application takes. */
const PACES = [
  { subject: "at full speed", ratePerSecond: undefined },
  { subject: "at 20,000/s", ratePerSecond: 20_000 },
  { subject: "at 5,000/s", ratePerSecond: 5_000 },
] as const;

type Pace = (typeof PACES)[number];

/** Sends to a new agent at each pace, waits until all has landed, and counts it in PostgreSQL. */
export async function benchEndToEnd(options: BenchOptions): Promise<BenchReport> {
  const folder = createTemporaryFolder();
  const service = await startPostgres({ settings: { track_commit_timestamp: "on" } });
  const generator = startLoadGenerator();
  const measurements: Measurement[] = [];
  for (let run = 1; run <= options.runs; run++) {
    for (const pace of PACES) {
      const bufferPath = join(folder, `agent-${run}.db`);
      const parts = { run, pace, options, bufferPath, service, generator };
      const measurement = await measureAgent(parts);
      measurements.push(measurement);
      reportProgress(measurement, options.runs);
      removeDatabase(bufferPath);
    }
  }
  await generator.close();
  const postgresVersion = service.version;
  await service.remove();
  return { postgresVersion, measurements };
}

async function measureAgent(parts: {
  run: number;
  pace: Pace;
  options: BenchOptions;
  bufferPath: string;
  service: PostgresService;
  generator: LoadGenerator;
}): Promise<Measurement> {
  const { run, pace, options, bufferPath, service, generator } = parts;
  const database = await createBenchDatabase(service);
  const agent = startMeasuredProcess<AgentCalls>(new URL("agent-process.ts", import.meta.url));
  const { port } = await agent.call("start", {
    bufferPath,
    databaseUrl: database.url,
    postmasterPid: service.pid,
  });
  const load = {
    host: "127.0.0.1",
    port,
    token: "bench",
    client: {
      kind: "pipelined" as const,
      window: PIPELINE_WINDOW,
      ratePerSecond: pace.ratePerSecond,
    },
    connections: options.connections ?? PIPELINED_CONNECTIONS,
  };
  await generator.run({ ...load, run: "warm-up", seconds: WARM_UP_SECONDS });
  await agent.call("landed");

  await agent.call("begin");
  const startedAt = Date.now();
  const sent = await generator.run({ ...load, run: RUN, seconds: options.seconds ?? SECONDS });
  const { payloads, backlog } = await agent.call("taken");
  const { lastLandedAt, usage, loopDelayP99Ms } = await agent.call("landed");
  await agent.call("stop");
  await agent.close();

  const { payloadsPerSecond, ...others } = loadMetrics(sent, payloads);
  await checkLandedRows(database.url, RUN, payloads);
  const { p50Ms, p99Ms } = await measureLandingDelay(database.url, RUN);
  await database.drop();
  return {
    subject: `agent, 2 drain workers, ${pace.subject}`,
    run,
    metrics: {
      ...(payloadsPerSecond !== undefined && { acceptedPerSecond: payloadsPerSecond }),
      landedPerSecond: (payloads / (lastLandedAt - startedAt)) * 1_000,
      backlogRows: backlog,
      ...others,
      landP50Ms: p50Ms,
      landP99Ms: p99Ms,
      loopDelayP99Ms,
      ...usageMetrics(usage, payloads),
    },
  };
}
