import { Cron } from "croner";
import type { Clock, Timer } from "../host/clock.ts";

// Timers stand still while a computer sleeps and know nothing of a wall clock that is set.
const MAX_WAIT_MS = 30_000;

/** Calls back at each time of a cron expression. */
export class CronTimer {
  readonly #cron: Cron;
  readonly #clock: Clock;
  readonly #onTime: () => void;
  #timer: Timer | undefined;
  #isPaused = false;

  constructor(expression: string, timezone: string, clock: Clock, onTime: () => void) {
    this.#cron = new Cron(expression, { timezone, paused: true });
    this.#clock = clock;
    this.#onTime = onTime;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  start(): void {
    const due = this.next();
    if (due !== null) this.#waitUntil(due.getTime());
  }

  stop(): void {
    this.#timer?.close();
    this.#timer = undefined;
  }

  pause(): void {
    this.#isPaused = true;
    this.stop();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.start();
  }

  /** The next time, `null` when there will be none. */
  next(): Date | null {
    return this.#cron.nextRun(new Date(this.#clock.now()));
  }

  #waitUntil(dueAtMs: number): void {
    const waitMs = Math.min(MAX_WAIT_MS, Math.max(0, dueAtMs - this.#clock.now()));
    this.#timer = this.#clock.setTimeout(() => {
      if (this.#clock.now() < dueAtMs) this.#waitUntil(dueAtMs);
      else {
        this.start();
        this.#onTime();
      }
    }, waitMs);
  }
}
