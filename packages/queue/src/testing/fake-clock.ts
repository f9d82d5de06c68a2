import { setImmediate as nextTurn } from "node:timers/promises";

/** The time of a backend in memory: it stands still until a test moves it. */
export interface FakeClock {
  /** Unix milliseconds. */
  now(): number;
  /**
   * Moves the time on and does what comes due on the way, earliest first: due times, retries, deadlines,
   * timeouts, rates, schedules. After each of them whatever was started goes on as far as it gets without
   * input or output of its own; handlers that do any are waited for with {@link MemoryBackend.settled}.
   *
   * @param ms milliseconds, 0 or more.
   */
  advance(ms: number): Promise<void>;
}

interface Timer {
  at: number;
  run(): void;
}

/** A clock that is moved by hand, and its timers. */
export class ManualClock implements FakeClock {
  #now: number;
  /** By time, then in the order in which they were set. */
  readonly #timers: Timer[] = [];
  #advancing: Promise<void> = Promise.resolve();

  constructor(startAt: number) {
    this.#now = startAt;
  }

  now(): number {
    return this.#now;
  }

  /** Runs `run` when the time comes. @returns what takes that back. */
  at(time: number, run: () => void): () => void {
    const timer = { at: time, run };
    let place = this.#timers.length;
    while (place > 0 && (this.#timers[place - 1]?.at ?? 0) > time) place--;
    this.#timers.splice(place, 0, timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  }

  advance(ms: number): Promise<void> {
    if (!(ms >= 0 && Number.isFinite(ms))) {
      throw new TypeError(`the clock cannot advance by ${ms}: give milliseconds, 0 or more`);
    }
    this.#advancing = this.#advancing.then(() => this.#advance(ms));
    return this.#advancing;
  }

  async #advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    // What was asked for before has its turn at the time at which it was asked for.
    await nextTurn();
    for (;;) {
      const [next] = this.#timers;
      if (!next || next.at > end) break;
      this.#timers.shift();
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await nextTurn();
    }
    this.#now = end;
  }
}
