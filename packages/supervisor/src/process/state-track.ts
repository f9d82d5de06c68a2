import { MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";
import { type Clock, timestamp } from "../host/clock.ts";
import { canMove, type InstanceState, isEnding } from "./instance-state.ts";

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
  readonly #clock: Clock;
  readonly #onMove: (from: InstanceState, to: InstanceState, reason: string) => void;
  readonly #waiters = new Set<() => void>();
  readonly #steps: StateStep[] = [];
  #state: InstanceState = "stopped";
  #reason = "not started";

  constructor(
    id: string,
    clock: Clock,
    onMove: (from: InstanceState, to: InstanceState, reason: string) => void,
  ) {
    this.#id = id;
    this.#clock = clock;
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
    this.#steps.push({ time: timestamp(this.#clock), from, to, reason });
    if (this.#steps.length > KEPT_STEPS) this.#steps.shift();
    for (const wake of this.#waiters) wake();
    this.#onMove(from, to, reason);
  }

  /**
   * Waits until the state is `ready`; `restarts` counts the restarts so far.
   *
   * @throws {@link MillraceError} `SUPERVISOR_INSTANCE_FAILED` when it crashes, fails or stops first;
   * `signal.reason` when aborted.
   */
  async whenReady(signal: AbortSignal, restarts: () => number): Promise<void> {
    const restartsBefore = restarts();
    while (this.#state !== "ready") {
      signal.throwIfAborted();
      const gone = this.#state === "failed" || this.#state === "stopped" || isEnding(this.#state);
      if (gone || restarts() > restartsBefore) {
        throw new MillraceError<SupervisorErrorCode>(
          "SUPERVISOR_INSTANCE_FAILED",
          `${this.#id} did not become ready: ${this.#reason}`,
          { details: { instance: this.#id, state: this.#state } },
        );
      }
      await this.#nextChange(signal);
    }
  }

  /** Waits until it has ended for good and says how; `signal` only ends the waiting. */
  async whenEnded(signal: AbortSignal): Promise<InstanceState> {
    while (this.#state !== "stopped" && this.#state !== "failed" && !signal.aborted) {
      await this.#nextChange(signal);
    }
    return this.#state;
  }

  /** Waits for the next change of state, or until `signal` fires. */
  #nextChange(signal: AbortSignal): Promise<void> {
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
