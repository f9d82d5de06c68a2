import type { Clock, Timer } from "../../src/host/clock.ts";

const EPOCH_MS = Date.UTC(2026, 0, 1);
/** Node.js turns longer waits into 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;
// What does so much without any time passing would never let it pass.
const MAX_STEPS_PER_INSTANT = 20_000;

/** Time that passes only when it is told to, from one due callback to the next. */
export class VirtualClock implements Clock {
  readonly #epochMs: number;
  #atMs = 0;
  #sequence = 0;
  #steps = 0;
  #looks = 0;
  readonly #due: VirtualTimer[] = [];
  readonly #turns: Array<() => void> = [];

  /** Begins at a wall-clock time. */
  constructor(epochMs = EPOCH_MS) {
    this.#epochMs = epochMs;
  }

  now(): number {
    return this.#epochMs + Math.floor(this.#atMs);
  }

  monotonicMs(): number {
    // A loop of promises that waits for time to pass lets none pass, nor anything else happen.
    if (++this.#looks > MAX_STEPS_PER_INSTANT) throw this.#stuck();
    return this.#atMs;
  }

  setTimeout(callback: () => void, delayMs: number): VirtualTimer {
    return this.#add(callback, delayMs, undefined);
  }

  setInterval(callback: () => void, intervalMs: number): VirtualTimer {
    return this.#add(callback, intervalMs, intervalMs);
  }

  nextTurn(): Promise<void> {
    return new Promise((resolve) => {
      this.#turns.push(resolve);
    });
  }

  /** What is still due, callbacks and turns together. */
  get pending(): number {
    return this.#due.reduce((count, { isClosed }) => count + Number(!isClosed), this.#turns.length);
  }

  /** Lets time pass with everything that falls due in it. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#atMs + ms;
    for (;;) {
      await settle();
      this.#looks = 0;
      const turn = this.#turns.shift();
      if (turn !== undefined) {
        this.#countStep();
        turn();
        continue;
      }
      const next = this.#due[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#pop();
      if (next.isClosed) continue;
      if (next.atMs > this.#atMs) this.#steps = 0;
      this.#countStep();
      this.#atMs = Math.max(this.#atMs, next.atMs);
      if (next.intervalMs === undefined) next.close();
      else this.#push(next.again(this.#atMs + next.intervalMs, ++this.#sequence));
      next.callback();
    }
    this.#atMs = untilMs;
  }

  /** Lets time pass until `condition` holds; `false` when it doesn't within `limitMs`. */
  async advanceUntil(condition: () => boolean, limitMs: number, stepMs = 100): Promise<boolean> {
    const untilMs = this.#atMs + limitMs;
    await this.advance(0);
    while (!condition()) {
      if (this.#atMs >= untilMs) return false;
      await this.advance(stepMs);
    }
    return true;
  }

  #countStep(): void {
    if (++this.#steps > MAX_STEPS_PER_INSTANT) throw this.#stuck();
  }

  #stuck(): Error {
    return new Error(`${MAX_STEPS_PER_INSTANT} steps at ${this.#atMs} ms, and time does not pass`);
  }

  #add(callback: () => void, delayMs: number, intervalMs: number | undefined): VirtualTimer {
    if (!(delayMs >= 0 && delayMs <= MAX_TIMER_MS)) {
      throw new Error(`no timer can wait ${delayMs} ms`);
    }
    const atMs = this.#atMs + Math.max(1, delayMs);
    const timer = new VirtualTimer(callback, atMs, ++this.#sequence, intervalMs);
    this.#push(timer);
    return timer;
  }

  #push(timer: VirtualTimer): void {
    let at = this.#due.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #pop(): void {
    const last = this.#due.pop();
    if (last === undefined || this.#due.length === 0) return;
    this.#due[0] = last;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const least = this.#isBefore(left + 1, left) ? left + 1 : left;
      if (!this.#isBefore(least, at)) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #isBefore(one: number, other: number): boolean {
    const [first, second] = [this.#due[one], this.#due[other]];
    if (first === undefined || second === undefined) return false;
    return first.atMs < second.atMs || (first.atMs === second.atMs && first.order < second.order);
  }

  #swap(one: number, other: number): void {
    const [first, second] = [this.#due[one], this.#due[other]];
    if (first === undefined || second === undefined) return;
    this.#due[one] = second;
    this.#due[other] = first;
  }
}

class VirtualTimer implements Timer {
  readonly callback: () => void;
  readonly intervalMs: number | undefined;
  atMs: number;
  order: number;
  isClosed = false;

  constructor(callback: () => void, atMs: number, order: number, intervalMs: number | undefined) {
    this.callback = callback;
    this.atMs = atMs;
    this.order = order;
    this.intervalMs = intervalMs;
  }

  close(): void {
    this.isClosed = true;
  }

  again(atMs: number, order: number): this {
    this.atMs = atMs;
    this.order = order;
    return this;
  }
}

/** Lets every promise go on that can. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
