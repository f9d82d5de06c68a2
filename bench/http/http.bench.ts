import { join } from "node:path";
import { type LoadClient, startLoadGenerator } from "@millrace/load";
import type { BenchOptions } from "../bench-options.ts";
import { measureServer } from "../ingest/measured-server.ts";
import type { BenchReport, Measurement } from "../report/measurement.ts";
import { reportProgress } from "../report/progress.ts";
import { createTemporaryFolder, removeDatabase } from "../temporary-folder.ts";

const BARE_SERVER = new URL("./bare-http-server.ts", import.meta.url);
const BUFFERED_SERVER = new URL("../ingest/buffered-server.ts", import.meta.url);
const SECONDS = 5;
const CONNECTIONS = 32;

type HttpClient = Extract<LoadClient, { kind: "http" }>;

const BODIES: ReadonlyArray<HttpClient & { name: string }> = [
  { name: "JSON, 1 record", kind: "http", format: "json", records: 1 },
  { name: "JSON, 100 records", kind: "http", format: "json", records: 100 },
  { name: "NDJSON, 100 records", kind: "http", format: "ndjson", records: 100 },
];

/** Posts the same bodies to the ingest server and to one that only reads them, in turns. */
export async function benchHttp(options: BenchOptions): Promise<BenchReport> {
  const folder = createTemporaryFolder();
  const generator = startLoadGenerator();
  const measurements: Measurement[] = [];
  const keep = (measurement: Measurement, records: number) => {
    const { payloadsPerSecond } = measurement.metrics;
    if (payloadsPerSecond !== undefined) {
      measurement.metrics.recordsPerSecond = payloadsPerSecond * records;
    }
    measurements.push(measurement);
    reportProgress(measurement, options.runs);
  };
  for (let run = 1; run <= options.runs; run++) {
    for (const { name, ...client } of BODIES) {
      const style = { name, client, connections: options.connections ?? CONNECTIONS };
      const round = { style, run, seconds: options.seconds ?? SECONDS, generator };
      const input = { path: join(folder, `${run}.db`), durability: "process", http: true } as const;
      const bare = await measureServer(round, "bare node:http", BARE_SERVER, input);
      const ours = await measureServer(round, "ingest", BUFFERED_SERVER, input);
      removeDatabase(input.path);
      ours.metrics.ofBareServer =
        (ours.metrics.payloadsPerSecond ?? Number.NaN) / (bare.metrics.payloadsPerSecond ?? 0);
      keep(bare, client.records);
      keep(ours, client.records);
    }
  }
  await generator.close();
  return { postgresVersion: undefined, measurements };
}
