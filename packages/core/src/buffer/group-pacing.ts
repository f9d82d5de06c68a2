/** Groups between two that wait their full time to see whether waiting has become worth it. */
const GROUPS_PER_PROBE = 64;

/**
 * Decides when a group of appends is large enough to commit: as soon as it has as many rows as
 * waiting lately brought. A lone client's group has one row and never waits; with many clients a
 * commit is shared by all that arrive within the wait. Every 64th group waits its full time, to
 * find out.
 */
export class GroupPacing {
  /** Longest wait of a group, from its first row. */
  readonly maxWaitMs: number;
  #expectedRows = 1;
  #groupsUntilProbe = GROUPS_PER_PROBE;

  constructor(maxWaitMs: number) {
    this.maxWaitMs = maxWaitMs;
  }

  /** @param waitedMs since the first row of the group. */
  isDue(rows: number, waitedMs: number): boolean {
    if (waitedMs >= this.maxWaitMs) return true;
    return this.#groupsUntilProbe > 0 && rows >= this.#expectedRows;
  }

  /** To be told of every group that is committed. */
  committed(rows: number, waitedMs: number): void {
    if (this.#groupsUntilProbe-- === 0) this.#groupsUntilProbe = GROUPS_PER_PROBE;
    const hasWaitedInFull = waitedMs >= this.maxWaitMs;
    this.#expectedRows = hasWaitedInFull ? rows : Math.max(rows, this.#expectedRows);
  }
}
