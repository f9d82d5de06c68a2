import type { Clock } from "../host/clock.ts";

/**
 * Lets restarts happen one per turn of the event loop. Starting a process blocks for milliseconds;
 * many that end together, or that end as fast as they are started, would otherwise starve timers and
 * output (measured: four instances of `true` held the loop for half a minute).
 */
export class LaunchTurns {
  readonly #clock: Clock;
  readonly #waiting: Array<() => void> = [];
  #isScheduled = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs `launch` in a turn of its own, the next one if nobody waits. */
  add(launch: () => void): void {
    this.#waiting.push(launch);
    void this.#schedule();
  }

  async #schedule(): Promise<void> {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    await this.#clock.nextTurn();
    this.#isScheduled = false;
    this.#waiting.shift()?.();
    if (this.#waiting.length > 0) void this.#schedule();
  }
}
