const NINE_YEARS_MS = 9 * 365 * 24 * 3_600_000;

/** BullMQ multiplies due times by 4096 and Redis scores are doubles: later than this they would collide. */
const LATEST_MS = Math.floor(2 ** 53 / 4096) - 24 * 3_600_000;

/** The delay of a staged job, in milliseconds: far enough never to come due by itself. */
export function farDelayMs(now: number): number {
  return Math.min(NINE_YEARS_MS, LATEST_MS - now);
}
