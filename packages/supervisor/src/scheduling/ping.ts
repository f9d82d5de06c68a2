import type { ScheduledRun } from "./scheduled-run.ts";

/** Addresses that hear of scheduled runs, as of a service that alerts when one stays away. */
export interface PingOptions {
  /** Hears that a run has begun. */
  startUrl?: string | undefined;
  /** Hears that a run has succeeded. */
  successUrl?: string | undefined;
  /** Hears that a run has failed or was stopped at its `timeoutMs`. */
  failureUrl?: string | undefined;
  /** How long an answer may take, in milliseconds. @default 10_000 */
  timeoutMs?: number | undefined;
}

/** Posts a run to the address of its outcome, if it has one; rejects when that doesn't answer 2xx. */
export async function pingRun(
  { startUrl, successUrl, failureUrl, timeoutMs = 10_000 }: PingOptions,
  run: ScheduledRun,
): Promise<void> {
  const url = {
    running: startUrl,
    succeeded: successUrl,
    failed: failureUrl,
    "timed-out": failureUrl,
  };
  const address = run.outcome in url ? url[run.outcome as keyof typeof url] : undefined;
  if (address === undefined) return;
  const response = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(run),
    signal: AbortSignal.timeout(timeoutMs),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`${address} answered ${response.status}`);
}
