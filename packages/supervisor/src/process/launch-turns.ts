/**
 * Lets restarts happen one per turn of the event loop. Starting a process blocks for milliseconds;
 * many that end together, or that end as fast as they are started, would otherwise starve timers and
 * output (measured: four instances of `true` held the loop for half a minute).
 */
export class LaunchTurns {
  readonly #waiting: Array<() => void> = [];
  #isScheduled = false;

  /** Runs `launch` in a turn of its own, the next one if nobody waits. */
  add(launch: () => void): void {
    this.#waiting.push(launch);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#waiting.shift()?.();
      if (this.#waiting.length > 0) this.#schedule();
    });
  }
}
