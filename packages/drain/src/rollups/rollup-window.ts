import { momentBefore } from "../partitions/partition-calendar.ts";
import { parseRetention } from "../schema/partition-by.ts";
import { INTERVAL_SECONDS, type RollupInterval } from "./rollup-interval.ts";
import type { RollupDefinition } from "./rollup.ts";

/** How far ahead of a payload's arrival its records may be: clocks differ, and zones are got wrong. */
const MAX_AHEAD_SECONDS = 86_400;
const MINUTE_MS = 60_000;

/** Start of the oldest buckets that are kept at `now`; undefined when all are. */
export function retentionCutoff(
  { retain }: Pick<RollupDefinition, "retain">,
  interval: RollupInterval,
  now: Date,
): Date | undefined {
  const span = parseRetention(retain[interval]);
  return span === undefined ? undefined : momentBefore(now, span);
}

/** Which buckets of one interval take records. */
export class RollupWindow {
  readonly seconds: number;
  readonly #rollup: RollupDefinition;
  readonly #interval: RollupInterval;
  #minute = Number.NaN;
  #oldest = 0;
  #newest = 0;

  constructor(rollup: RollupDefinition, interval: RollupInterval) {
    this.seconds = INTERVAL_SECONDS[interval];
    this.#rollup = rollup;
    this.#interval = interval;
  }

  /**
   * Start of the bucket for a moment, both in Unix seconds; undefined for a moment that is absurd, or
   * whose bucket would be deleted at once.
   *
   * Goes by when the payload arrived, not by the clock: another try of a batch counts the same.
   */
  bucketOf(seconds: number, receivedAt: number): number | undefined {
    const minute = Math.floor(receivedAt / MINUTE_MS);
    if (minute !== this.#minute) this.#move(minute);
    const bucket = seconds - modulo(seconds, this.seconds);
    return bucket >= this.#oldest && bucket <= this.#newest ? bucket : undefined;
  }

  #move(minute: number): void {
    const arrival = new Date(minute * MINUTE_MS);
    const yearBefore = momentBefore(arrival, { count: 1, unit: "year" });
    const cutoff = retentionCutoff(this.#rollup, this.#interval, arrival) ?? yearBefore;
    this.#minute = minute;
    this.#oldest = Math.max(cutoff.getTime(), yearBefore.getTime()) / 1_000;
    this.#newest = arrival.getTime() / 1_000 + MAX_AHEAD_SECONDS;
  }
}

function modulo(dividend: number, divisor: number): number {
  const remainder = dividend % divisor;
  return remainder < 0 ? remainder + divisor : remainder;
}
