import type { LoadResult } from "@millrace/load";
import type { Measurement } from "./measurement.ts";

/**
 * What a load came to.
 *
 * @param takenByServer payloads that the server says it has taken meanwhile.
 * @throws {@link Error} when a payload was refused or lost: its time would then mean nothing.
 */
export function loadMetrics(load: LoadResult, takenByServer: number): Measurement["metrics"] {
  const { sent, acknowledged, refused, unanswered, seconds, cpuSeconds, latencyMs } = load;
  if (acknowledged === 0 || acknowledged !== sent || takenByServer !== acknowledged) {
    throw new Error(
      `of ${sent} payloads ${acknowledged} were acknowledged, ${refused} refused, ` +
        `${unanswered} not answered; the server counts ${takenByServer}`,
    );
  }
  return {
    payloadsPerSecond: acknowledged / seconds,
    ackP50Ms: latencyMs.p50,
    ackP99Ms: latencyMs.p99,
    generatorCpuPercent: (cpuSeconds / seconds) * 100,
  };
}
