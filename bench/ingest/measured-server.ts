import type { LoadGenerator } from "@millrace/load";
import type { ClientStyle } from "../load-clients.ts";
import { startMeasuredProcess } from "../process/measured-process.ts";
import { loadMetrics } from "../report/load-metrics.ts";
import type { Measurement } from "../report/measurement.ts";
import { usageMetrics } from "../report/usage-metrics.ts";
import type { ServerCalls, ServerInput } from "./server-calls.ts";

/** Before each measurement, for code to be compiled and caches to fill. */
export const WARM_UP_SECONDS = 1;

/** What stays the same for all that is compared. */
export interface Round {
  style: ClientStyle;
  run: number;
  seconds: number;
  generator: LoadGenerator;
}

/** One load on one server, in a process of its own. */
export async function measureServer(
  { style, run, seconds, generator }: Round,
  subject: string,
  script: URL,
  input: ServerInput,
): Promise<Measurement> {
  const server = startMeasuredProcess<ServerCalls>(script);
  const { port } = await server.call("start", input);
  const { client, connections } = style;
  const load = { host: "127.0.0.1", port, token: "bench", client, connections };
  await generator.run({ ...load, run: "warm-up", seconds: WARM_UP_SECONDS });
  await server.call("begin");
  const result = await generator.run({ ...load, run: "measured", seconds });
  const { payloads, commits, usage } = await server.call("end");
  await server.call("stop");
  await server.close();
  return {
    subject: `${style.name}: ${subject}`,
    run,
    metrics: {
      ...loadMetrics(result, payloads),
      ...usageMetrics(usage, payloads),
      ...(commits > 0 && { rowsPerCommit: payloads / commits }),
    },
  };
}
