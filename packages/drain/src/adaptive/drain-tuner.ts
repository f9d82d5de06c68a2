import type { WorkerMessage } from "../messages.ts";
import { decide, type DrainReason, type DrainSample, startState } from "./drain-policy.ts";
import { WorkerPermits } from "./worker-permits.ts";

export interface DrainTunerOptions {
  concurrency: "adaptive" | "fixed";
  maxConnections: number;
  batchRows: number;
  polite: boolean;
  /** Payloads that nobody has claimed. */
  readPendingRows: () => number;
}

/** How many workers may land at a time, and how much. */
export interface DrainConcurrency {
  /** Worker threads that may claim, and so hold a connection. */
  current: number;
  /** What it cannot exceed. */
  max: number;
  /** Payloads that a batch may have. */
  batchRows: number;
  /** Why it was last changed: `trouble` is a lock timeout or a refused connection. */
  reason: DrainReason | "fixed";
}

const INTERVAL_MS = 500;

/** Applies the drain policy to the workers of a pool. */
export class DrainTuner {
  readonly permits = new WorkerPermits();
  readonly #options: DrainTunerOptions;
  #state: ReturnType<typeof startState>;
  #sample = emptySample();
  #sampledAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DrainTunerOptions) {
    this.#options = options;
    this.#state = startState(this.#policy);
    this.#apply();
  }

  /** @returns a function that stops it. */
  start(): () => void {
    if (this.#options.concurrency === "fixed") return () => {};
    this.#sampledAt = performance.now();
    this.#timer = setInterval(() => this.#decide(), INTERVAL_MS);
    this.#timer.unref();
    return () => clearInterval(this.#timer);
  }

  /** Takes in what a worker says. */
  observe(message: WorkerMessage): void {
    if (message.type === "landed") {
      this.#sample.rows += message.payloads;
      this.#sample.batches++;
      this.#sample.landingSeconds += message.seconds;
    } else if (message.type === "trouble") {
      this.#sample.troubles++;
    }
  }

  get status(): DrainConcurrency {
    const { concurrency, batchRows, reason } = this.#state;
    const { concurrency: mode, maxConnections: max, batchRows: maxBatchRows } = this.#options;
    if (mode === "fixed") return { current: max, max, batchRows: maxBatchRows, reason: "fixed" };
    return { current: concurrency, max, batchRows, reason };
  }

  get #policy() {
    const { maxConnections, batchRows, polite } = this.#options;
    return { maxConcurrency: maxConnections, maxBatchRows: batchRows, polite };
  }

  #decide(): void {
    const now = performance.now();
    this.#sample.seconds = (now - this.#sampledAt) / 1_000;
    this.#sample.isSaturated = this.#options.readPendingRows() >= this.#state.batchRows;
    this.#state = decide(this.#state, this.#sample, this.#policy);
    this.#sample = emptySample();
    this.#sampledAt = now;
    this.#apply();
  }

  #apply(): void {
    const { current, batchRows } = this.status;
    this.permits.set({ concurrency: current, batchRows, restShare: this.#state.restShare });
  }
}

function emptySample(): DrainSample {
  return { seconds: 0, rows: 0, batches: 0, landingSeconds: 0, isSaturated: false, troubles: 0 };
}
