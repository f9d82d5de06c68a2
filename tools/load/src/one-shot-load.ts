import type { LoadTally } from "./load-tally.ts";
import { sendOnce } from "./one-shot-client.ts";
import type { PayloadStamper } from "./payload-stamper.ts";

export interface OneShotLoadOptions {
  host: string;
  port: number;
  /** When sending ends, on the clock of `performance.now()`. */
  endsAt: number;
}

/** Sends payloads one after the other, each on a connection of its own, until the time is up. */
export async function runOneShotLoad(
  { host, port, endsAt }: OneShotLoadOptions,
  frames: PayloadStamper,
  tally: LoadTally,
): Promise<void> {
  for (let startedAt = performance.now(); startedAt < endsAt; startedAt = performance.now()) {
    const frame = frames.next();
    tally.sent++;
    const outcome = await sendOnce({ host, port }, frame);
    if (outcome === "acknowledged") tally.acknowledge(startedAt, performance.now());
    else if (outcome === "refused") tally.refused++;
    else tally.unanswered++;
  }
}
