import { CloserStack } from "./closer-stack.ts";
import type { CloseOptions, ComponentState, StartOptions } from "./component.ts";
import { MillraceError, messageOf } from "./errors.ts";

/** How long `close` lets work in hand take, in milliseconds, unless told otherwise. */
export const DEFAULT_GRACE_MS = 10_000;

/** Node.js timers turn anything longer into 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const NEXT_STATES: Record<ComponentState, readonly ComponentState[]> = {
  idle: ["starting", "closed"],
  starting: ["running", "failed", "closed"],
  running: ["draining", "failed"],
  draining: ["closed", "failed"],
  closed: [],
  failed: [],
};

/** The steps that differ from component to component. */
export interface LifecycleSteps {
  name: string;
  /** Opens everything and pushes a closer for each part that was opened. */
  open(closers: CloserStack, signal: AbortSignal): Promise<void> | void;
  /** Stops intake and finishes work in hand; `signal` fires when the grace period is over. */
  drain?(signal: AbortSignal): Promise<void> | void;
  /** Time for the grace period, where it isn't the computer's, as in a simulation. */
  readonly setTimeout?: (callback: () => void, delayMs: number) => { close(): unknown };
}

/**
 * Start once, close once: the state machine that every component shares.
 *
 * A failed start unwinds what it opened; closing drains, then releases in reverse order.
 */
export class Lifecycle {
  readonly #steps: LifecycleSteps;
  readonly #closers = new CloserStack();
  readonly #startAbort = new AbortController();
  readonly closed: Promise<Error | undefined>;
  #resolveClosed: (cause: Error | undefined) => void = () => {};
  #state: ComponentState = "idle";
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(steps: LifecycleSteps) {
    this.#steps = steps;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  get state(): ComponentState {
    return this.#state;
  }

  /**
   * @throws {@link MillraceError} `ILLEGAL_STATE` when called twice or after `close`.
   * @throws {@link MillraceError} `START_ABORTED` when closed or aborted while starting.
   */
  async start(options: StartOptions = {}): Promise<void> {
    if (this.#state !== "idle") {
      throw new MillraceError(
        "ILLEGAL_STATE",
        `${this.#steps.name} cannot start: it is ${this.#state}; create a new one`,
      );
    }
    this.#move("starting");
    this.#starting = this.#open(options.signal);
    await this.#starting;
  }

  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options.graceMs ?? DEFAULT_GRACE_MS);
    return this.#closing;
  }

  /** Ends a running component because it cannot go on; `closed` resolves with `cause`. */
  async fail(cause: Error): Promise<void> {
    if (this.#state !== "running" && this.#state !== "draining") return;
    this.#move("failed");
    await this.#closers.close().catch(() => {});
    this.#resolveClosed(cause);
  }

  async #open(signal: AbortSignal | undefined): Promise<void> {
    const abort = signal
      ? AbortSignal.any([signal, this.#startAbort.signal])
      : this.#startAbort.signal;
    try {
      abort.throwIfAborted();
      await this.#steps.open(this.#closers, abort);
      abort.throwIfAborted();
    } catch (error) {
      await this.#closers.close().catch(() => {});
      const cause = abort.aborted
        ? new MillraceError("START_ABORTED", `${this.#steps.name} was stopped while starting`, {
            cause: error,
          })
        : toError(error);
      this.#move(this.#startAbort.signal.aborted ? "closed" : "failed");
      this.#resolveClosed(this.#startAbort.signal.aborted ? undefined : cause);
      throw cause;
    }
    this.#move("running");
  }

  async #close(graceMs: number): Promise<void> {
    if (this.#state === "starting") {
      this.#startAbort.abort();
      await this.#starting?.catch(() => {});
    }
    if (this.#state === "idle") {
      this.#move("closed");
      this.#resolveClosed(undefined);
    }
    if (this.#state !== "running") {
      // A failing component may still be releasing what it held.
      await this.closed;
      return;
    }
    this.#move("draining");
    let failure: Error | undefined;
    try {
      await this.#drain(graceMs);
    } catch (error) {
      failure = toError(error);
    }
    try {
      await this.#closers.close();
    } catch (error) {
      failure ??= toError(error);
    }
    if (this.state === "failed") {
      await this.closed;
      return;
    }
    this.#move("closed");
    this.#resolveClosed(failure);
    if (failure !== undefined) throw failure;
  }

  async #drain(graceMs: number): Promise<void> {
    const grace = new AbortController();
    const startTimer = this.#steps.setTimeout ?? setTimeout;
    const timer = startTimer(() => grace.abort(), Math.min(graceMs, MAX_TIMER_MS));
    try {
      await this.#steps.drain?.(grace.signal);
    } finally {
      timer.close();
    }
  }

  #move(next: ComponentState): void {
    if (!NEXT_STATES[this.#state].includes(next)) {
      throw new MillraceError(
        "ILLEGAL_STATE",
        `${this.#steps.name} cannot go from ${this.#state} to ${next}`,
      );
    }
    this.#state = next;
  }
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown));
}
