import type { Gate, SettledRun } from "../gate/gate.ts";

/** Runs that end closer together than this are sent together, in milliseconds. */
const BUSY_MS = 2;
const MAX_BATCH = 128;

/** Gives slots back: at once when runs end now and then, in small batches when they end in droves. */
export class SettleBatch {
  readonly #gate: () => Gate;
  readonly #onError: (error: unknown) => void;
  #runs: SettledRun[] = [];
  #sentAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<unknown> = Promise.resolve();

  /** A failed send is only reported: reconcile frees what it would have freed. */
  constructor(gate: () => Gate, onError: (error: unknown) => void) {
    this.#gate = gate;
    this.#onError = onError;
  }

  /**
   * A lone run is sent in a microtask, on the worker's own connection: BullMQ's "finish this job and
   * fetch the next" is written after it, so that the fetch finds what the free slot admitted. A busy
   * worker has admitted tasks at hand and need not: one script for many runs costs Redis a fraction.
   */
  add(run: SettledRun): void {
    this.#runs.push(run);
    if (this.#runs.length === MAX_BATCH) this.#send();
    if (this.#runs.length !== 1) return;
    if (performance.now() - this.#sentAt < BUSY_MS) {
      this.#timer = setTimeout(() => this.#send(), BUSY_MS);
    } else queueMicrotask(() => this.#send());
  }

  /** Sends what waits; resolves when everything has been sent. */
  async flushed(): Promise<void> {
    this.#send();
    await this.#sending;
  }

  #send(): void {
    clearTimeout(this.#timer);
    const runs = this.#runs;
    if (runs.length === 0) return;
    this.#runs = [];
    this.#sentAt = performance.now();
    const settling = this.#gate()
      .settle(runs)
      .catch((error: unknown) => this.#onError(error));
    this.#sending = Promise.all([this.#sending, settling]);
  }
}
