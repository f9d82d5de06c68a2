import { Worker } from "node:worker_threads";
import { Backoff, messageOf } from "@millrace/core";
import type { DrainMessage, WorkerInput, WorkerMessage } from "../messages.ts";

export interface WorkerHandleOptions {
  input: WorkerInput;
  silenceMs: number;
  onMessage: (message: WorkerMessage) => void;
  /** Called when the thread ended although nobody asked it to; unless draining, another is on its way. */
  onDeath: (reason: string) => void;
}

/** Silence after which a thread counts as hung while it loads its code, in milliseconds. */
const LOADING_MS = 120_000;
/** A batch's garbage is collected at the same speed from less: see docs/decisions/0016. */
const YOUNG_GENERATION_MIB = 8;

/**
 * Keeps one worker thread running: replaces it, with backoff, when it dies or hangs.
 *
 * A thread is asked to end itself and `terminate()` left for one that does not listen: ended in the
 * middle of better-sqlite3, above all while that loads, it takes the process with it (SIGABRT).
 */
export class WorkerHandle {
  readonly #options: WorkerHandleOptions;
  readonly #backoff = new Backoff({ baseMs: 100, capMs: 10_000 });
  #thread: Worker | undefined;
  #respawn: NodeJS.Timeout | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #lastHeardAt = 0;
  #isLoaded = false;
  #isDraining = false;
  #isCut = false;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: WorkerHandleOptions) {
    this.#options = options;
  }

  start(): void {
    this.#spawn();
    const { silenceMs } = this.#options;
    this.#watchdog = setInterval(
      () => {
        if (this.#thread !== undefined && this.#isSilent()) void this.#thread.terminate();
      },
      Math.min(1_000, silenceMs),
    );
    this.#watchdog.unref();
  }

  /** How long nothing was heard of the thread, in milliseconds; 0 while it loads. */
  get silentMs(): number {
    return this.#isLoaded ? performance.now() - this.#lastHeardAt : 0;
  }

  /** Lets the thread land what is pending; when `signal` fires it is ended as it stands. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#isDraining = true;
    if (this.#respawn !== undefined) {
      clearTimeout(this.#respawn);
      // The one that died may have left a batch behind.
      if (!signal.aborted) this.#spawn();
    }
    this.#thread?.postMessage({ type: "drain" } satisfies DrainMessage);
    const cut = () => {
      this.#isCut = true;
      this.#thread?.postMessage({ type: "stop" } satisfies DrainMessage);
    };
    signal.addEventListener("abort", cut, { once: true });
    if (signal.aborted) cut();
    await this.#ended;
    signal.removeEventListener("abort", cut);
    clearInterval(this.#watchdog);
  }

  /** Ends the thread as it stands. */
  async stop(): Promise<void> {
    await this.drain(AbortSignal.abort());
  }

  #spawn(): void {
    const { input } = this.#options;
    this.#respawn = undefined;
    const thread = new Worker(new URL(import.meta.resolve("@millrace/drain/worker")), {
      workerData: input,
      name: `millrace-drain-${input.worker}`,
      resourceLimits: {
        maxOldGenerationSizeMb: input.heapMib,
        maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB,
      },
    });
    this.#thread = thread;
    this.#lastHeardAt = performance.now();
    this.#isLoaded = false;
    let reason = "ended by itself";
    thread.on("message", (message: WorkerMessage) => {
      this.#lastHeardAt = performance.now();
      this.#isLoaded = true;
      if (message.type === "landed") this.#backoff.reset();
      this.#options.onMessage(message);
    });
    thread.on("error", (error) => {
      reason = messageOf(error);
    });
    // Not events.once(): that gives up at "error", which comes before "exit".
    this.#ended = new Promise((resolve) => {
      thread.once("exit", (code) => {
        this.#onExit(code, reason);
        resolve();
      });
    });
  }

  #isSilent(): boolean {
    const silenceMs = this.#isLoaded ? this.#options.silenceMs : LOADING_MS;
    return performance.now() - this.#lastHeardAt >= silenceMs;
  }

  #onExit(code: number, reason: string): void {
    const wasHung = this.#isSilent();
    this.#thread = undefined;
    if (this.#isCut || (this.#isDraining && code === 0)) return;
    this.#options.onDeath(wasHung ? `silent for ${this.#options.silenceMs} ms` : reason);
    if (this.#isDraining) return;
    this.#respawn = setTimeout(() => this.#spawn(), this.#backoff.nextDelayMs());
  }
}
