import { type Clock, timestamp } from "./host/clock.ts";
import type { InstanceExit } from "./supervisor-events.ts";

/** One run that has ended. */
export interface EndedRun extends InstanceExit {
  /** ISO 8601. */
  endedAt: string;
}

const KEPT = 100;

/** How the newest runs of each process ended: what became of a oneshot, and how often others fall. */
export class RunHistory {
  readonly #clock: Clock;
  readonly #runs = new Map<string, EndedRun[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(exit: InstanceExit): void {
    const runs = this.#runs.get(exit.process) ?? [];
    runs.push({ ...exit, endedAt: timestamp(this.#clock) });
    if (runs.length > KEPT) runs.shift();
    this.#runs.set(exit.process, runs);
  }

  /** Oldest first. */
  of(process: string): readonly EndedRun[] {
    return this.#runs.get(process) ?? [];
  }
}
