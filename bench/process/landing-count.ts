import type { DrainPool } from "@millrace/drain";

/** Payloads that have left the buffer of a pool since it was watched. */
export interface LandingCount {
  readonly payloads: number;
  /** When the latest of them left, in Unix milliseconds. */
  readonly lastLandedAt: number;
  /** @throws {@link Error} when they have not landed after `timeoutMs`. */
  reaches(payloads: number, timeoutMs: number): Promise<void>;
}

export function countLandings(pool: DrainPool): LandingCount {
  let payloads = 0;
  let lastLandedAt = 0;
  let check = () => {};
  pool.on("batch:landed", (batch) => {
    payloads += batch.payloads;
    lastLandedAt = performance.timeOrigin + performance.now();
    check();
  });
  return {
    get payloads() {
      return payloads;
    },
    get lastLandedAt() {
      return lastLandedAt;
    },
    reaches: (wanted, timeoutMs) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`${payloads} of ${wanted} payloads landed in ${timeoutMs} ms`)),
          timeoutMs,
        );
        check = () => {
          if (payloads < wanted) return;
          clearTimeout(timer);
          resolve();
        };
        check();
      }),
  };
}
