import { setImmediate as nextSystemTurn } from "node:timers/promises";

/** A callback that is due later. */
export interface Timer {
  /** Takes it back. */
  close(): unknown;
}

/** Time as a supervisor sees it: what waits asks here, so that a simulation can let years pass. */
export interface Clock {
  /** Wall clock, in milliseconds since the epoch. */
  now(): number;
  /** Milliseconds that never jump nor go back, since some moment. */
  monotonicMs(): number;
  setTimeout(callback: () => void, delayMs: number): Timer;
  setInterval(callback: () => void, intervalMs: number): Timer;
  /** Resolves in a later turn of the event loop, after what is waiting has had its own. */
  nextTurn(): Promise<void>;
}

/** The time of this computer. What is due doesn't keep the program alive: {@link EventLoopHold} does. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs).unref(),
  setInterval: (callback, intervalMs) => setInterval(callback, intervalMs).unref(),
  nextTurn: () => nextSystemTurn(),
};

/** The time of a clock as ISO 8601. */
export function timestamp(clock: Clock): string {
  return new Date(clock.now()).toISOString();
}

/** Waits `ms` milliseconds, or less when `signal` fires: never throws. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const end = (): void => {
      timer.close();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

/** A signal that fires after `ms` milliseconds, and the way to take its timer back. */
export function timeoutSignal(clock: Clock, ms: number): { signal: AbortSignal; timer: Timer } {
  const timeout = new AbortController();
  const timer = clock.setTimeout(() => {
    timeout.abort(new DOMException(`${ms} ms have passed`, "TimeoutError"));
  }, ms);
  return { signal: timeout.signal, timer };
}
