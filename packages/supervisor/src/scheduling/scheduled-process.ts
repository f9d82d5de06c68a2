import { type Logger, sleep } from "@millrace/core";
import { Cron } from "croner";
import type { ManagedProcess } from "../scaling/managed-process.ts";
import { lowestFreeNumbers } from "../scaling/victims.ts";

const HISTORY_LENGTH = 100;

/** One firing of a schedule. */
export interface ScheduledRun {
  process: string;
  /** ISO 8601. */
  startedAt: string;
  endedAt: string | undefined;
  outcome: "running" | "succeeded" | "failed" | "timed-out" | "skipped";
}

/** Starts one instance of a process as a oneshot at each time of its schedule. */
export class ScheduledProcess {
  readonly #process: ManagedProcess;
  readonly #logger: Logger;
  readonly #onRun: (run: ScheduledRun) => void;
  readonly #abort = new AbortController();
  readonly #unfinished = new Set<Promise<void>>();
  readonly #history: ScheduledRun[] = [];
  #cron: Cron | undefined;
  #tail: Promise<void> = Promise.resolve();

  constructor(process: ManagedProcess, logger: Logger, onRun: (run: ScheduledRun) => void) {
    this.#process = process;
    this.#logger = logger;
    this.#onRun = onRun;
  }

  get nextRunAt(): Date | undefined {
    return this.#cron?.nextRun() ?? undefined;
  }

  /** Newest last. */
  get history(): readonly ScheduledRun[] {
    return this.#history;
  }

  start(): void {
    const { schedule } = this.#process.spec.options;
    if (schedule === undefined) return;
    const { cron, timezone, jitterMs } = schedule;
    this.#cron = new Cron(cron, { timezone, unref: true }, async () => {
      if (jitterMs > 0) await sleep(Math.random() * jitterMs, this.#abort.signal);
      this.trigger();
    });
  }

  /** Fires now, by the overlap policy. */
  trigger(): void {
    if (this.#abort.signal.aborted) return;
    const overlap = this.#process.spec.options.schedule?.overlap ?? "skip";
    if (overlap === "skip" && this.#unfinished.size > 0) {
      const now = new Date().toISOString();
      this.#record({
        process: this.#process.name,
        startedAt: now,
        endedAt: now,
        outcome: "skipped",
      });
      return;
    }
    const run = overlap === "queue" ? this.#tail.then(() => this.#run()) : this.#run();
    this.#unfinished.add(run);
    this.#tail = run;
    void run.finally(() => this.#unfinished.delete(run));
  }

  /** Fires no more; what runs is stopped with the process. */
  stop(): void {
    this.#cron?.stop();
    this.#abort.abort();
  }

  async #run(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    const run: ScheduledRun = {
      process: this.#process.name,
      startedAt: new Date().toISOString(),
      endedAt: undefined,
      outcome: "running",
    };
    this.#record(run);
    const taken = new Set(this.#process.active.map(({ number }) => number));
    const [number = 1] = lowestFreeNumbers(taken, 1);
    try {
      const instance = await this.#process.startNumber(number, "scheduled", this.#abort.signal);
      run.outcome = await this.#outcome(instance);
    } catch (error) {
      run.outcome = "failed";
      this.#logger.warn({ err: error, process: this.#process.name }, "a scheduled run failed");
    }
    run.endedAt = new Date().toISOString();
    this.#onRun({ ...run });
  }

  async #outcome(
    instance: Awaited<ReturnType<ManagedProcess["startNumber"]>>,
  ): Promise<ScheduledRun["outcome"]> {
    const timeoutMs = this.#process.spec.options.schedule?.timeoutMs ?? 0;
    const timeout = timeoutMs > 0 ? AbortSignal.timeout(timeoutMs) : undefined;
    const signal =
      timeout === undefined ? this.#abort.signal : AbortSignal.any([this.#abort.signal, timeout]);
    const state = await instance.whenEnded(signal);
    if (timeout?.aborted === true && state !== "stopped" && state !== "failed") {
      await instance.stop(`scheduled run took more than ${timeoutMs} ms`);
      return "timed-out";
    }
    return state === "stopped" ? "succeeded" : "failed";
  }

  #record(run: ScheduledRun): void {
    this.#history.push(run);
    if (this.#history.length > HISTORY_LENGTH) this.#history.shift();
    this.#onRun({ ...run });
  }
}
