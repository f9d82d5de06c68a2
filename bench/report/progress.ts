import type { Measurement } from "./measurement.ts";

/** Says on standard error what was just measured, so that standard output holds results only. */
export function reportProgress({ subject, run, metrics }: Measurement, runs: number): void {
  const perSecond =
    metrics.payloadsPerSecond ?? metrics.rowsPerSecond ?? metrics.landedPerSecond ?? Number.NaN;
  const rate = Math.round(perSecond).toLocaleString("en-US");
  process.stderr.write(`run ${run} of ${runs}: ${subject}: ${rate}/s\n`);
}
