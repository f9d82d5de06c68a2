import type { Measurement } from "./measurement.ts";

/** Says on standard error what was just measured, so that standard output holds results only. */
export function reportProgress({ subject, run, metrics }: Measurement, runs: number): void {
  const perSecond =
    metrics.payloadsPerSecond ??
    metrics.rowsPerSecond ??
    metrics.landedPerSecond ??
    metrics.jobsPerSecond;
  const rate =
    perSecond === undefined ? "done" : `${Math.round(perSecond).toLocaleString("en-US")}/s`;
  process.stderr.write(`run ${run} of ${runs}: ${subject}: ${rate}\n`);
}
