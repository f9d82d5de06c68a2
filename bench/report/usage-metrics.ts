import type { Usage } from "../process/process-usage.ts";
import type { Measurement } from "./measurement.ts";

const MIB = 1_024 * 1_024;

/** What `records` records cost. */
export function usageMetrics(usage: Usage, records: number): Measurement["metrics"] {
  const { cpuSeconds, postgresCpuSeconds, peakMemoryBytes } = usage;
  const perThousand = (seconds: number) => (seconds / records) * 1_000;
  return {
    cpuSecondsPer1000: perThousand(cpuSeconds),
    ...(postgresCpuSeconds !== undefined && {
      postgresCpuSecondsPer1000: perThousand(postgresCpuSeconds),
    }),
    peakMemoryMib: peakMemoryBytes / MIB,
  };
}
