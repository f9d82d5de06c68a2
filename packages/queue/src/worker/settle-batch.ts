import type { Gate, SettledRun } from "../gate/gate.ts";

/** Gives slots back, those of one turn of the event loop together. */
export class SettleBatch {
  readonly #gate: Gate;
  readonly #onError: (error: unknown) => void;
  #runs: SettledRun[] = [];
  #sending: Promise<unknown> = Promise.resolve();

  /** A failed send is only reported: reconcile frees what it would have freed. */
  constructor(gate: Gate, onError: (error: unknown) => void) {
    this.#gate = gate;
    this.#onError = onError;
  }

  /**
   * Sent in a microtask, on the worker's own connection: BullMQ's "finish this job and fetch the next"
   * is written after it, so that the fetch finds what the free slot admitted.
   */
  add(run: SettledRun): void {
    this.#runs.push(run);
    if (this.#runs.length > 1) return;
    queueMicrotask(() => {
      const runs = this.#runs;
      this.#runs = [];
      this.#sending = Promise.all([
        this.#sending,
        this.#gate.settle(runs).catch((error: unknown) => this.#onError(error)),
      ]);
    });
  }

  /** Resolves when everything added so far has been sent. */
  async flushed(): Promise<void> {
    await Promise.resolve();
    await this.#sending;
  }
}
