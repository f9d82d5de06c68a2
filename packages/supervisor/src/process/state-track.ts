import { MillraceError } from "@millrace/core";
import { canMove, type InstanceState } from "./instance-state.ts";

/** One step of an instance, as far as it is remembered. */
export interface StateStep {
  /** ISO 8601. */
  time: string;
  from: InstanceState;
  to: InstanceState;
  reason: string;
}

const KEPT_STEPS = 20;

/** The state of one instance: how it got there, and who waits for the next change. */
export class StateTrack {
  readonly #id: string;
  readonly #onMove: (from: InstanceState, to: InstanceState, reason: string) => void;
  readonly #waiters = new Set<() => void>();
  readonly #steps: StateStep[] = [];
  #state: InstanceState = "stopped";
  #reason = "not started";

  constructor(
    id: string,
    onMove: (from: InstanceState, to: InstanceState, reason: string) => void,
  ) {
    this.#id = id;
    this.#onMove = onMove;
  }

  get state(): InstanceState {
    return this.#state;
  }

  get reason(): string {
    return this.#reason;
  }

  /** The newest steps, oldest first. */
  get steps(): readonly StateStep[] {
    return this.#steps;
  }

  move(to: InstanceState, reason: string): void {
    const from = this.#state;
    if (!canMove(from, to)) {
      throw new MillraceError("ILLEGAL_STATE", `${this.#id} cannot go from ${from} to ${to}`);
    }
    this.#state = to;
    this.#reason = reason;
    this.#steps.push({ time: new Date().toISOString(), from, to, reason });
    if (this.#steps.length > KEPT_STEPS) this.#steps.shift();
    for (const wake of this.#waiters) wake();
    this.#onMove(from, to, reason);
  }

  /** Waits for the next change of state, or until `signal` fires. */
  nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiters.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiters.add(wake);
      signal.addEventListener("abort", wake);
    });
  }
}
