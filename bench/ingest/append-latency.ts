import { startMeasuredProcess } from "../process/measured-process.ts";
import type { Measurement } from "../report/measurement.ts";
import { removeDatabase } from "../temporary-folder.ts";
import type { Appends, PacedAppendsCalls, PacedAppendsInput } from "./paced-appends.ts";

/** Part of the full rate at which a buffer that is not saturated is measured. */
const PACED_SHARE = 0.8;

/** Payloads a second: many for one agent, few for the buffer. */
const STEADY_RATE = 20_000;

/** How long appends take at the full rate, below it, and at a steady rate; one measurement for each. */
export async function measureAppends(
  run: number,
  input: Omit<PacedAppendsInput, "share" | "steadyRate">,
): Promise<Measurement[]> {
  const appender = startMeasuredProcess<PacedAppendsCalls>(
    new URL("paced-appends.ts", import.meta.url),
  );
  const { full, paced, steady } = await appender.call("append", {
    ...input,
    share: PACED_SHARE,
    steadyRate: STEADY_RATE,
  });
  await appender.close();
  removeDatabase(input.path);
  return [
    measurement(run, `append, ${input.durability}`, full),
    measurement(run, `append at 80 %, ${input.durability}`, paced),
    measurement(run, `append at ${STEADY_RATE}/s, ${input.durability}`, steady),
  ];
}

function measurement(
  run: number,
  subject: string,
  { payloadsPerSecond, p50Ms, p99Ms }: Appends,
): Measurement {
  return { subject, run, metrics: { payloadsPerSecond, ackP50Ms: p50Ms, ackP99Ms: p99Ms } };
}
