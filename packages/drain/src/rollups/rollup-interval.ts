/** How much time one row of a rollup holds. */
export type RollupInterval = "minute" | "hour";

/** What `interval_seconds` says. */
export const INTERVAL_SECONDS: Readonly<Record<RollupInterval, number>> = {
  minute: 60,
  hour: 3_600,
};
