import { randomUUID } from "node:crypto";
import type { Logger } from "@millrace/core";
import { sleep, timeoutSignal, timestamp } from "../host/clock.ts";
import type { SupervisorHost } from "../host/supervisor-host.ts";
import type { ManagedProcess } from "../scaling/managed-process.ts";
import { lowestFreeNumbers } from "../scaling/victims.ts";
import { lastRun } from "./cron.ts";
import { CronTimer } from "./cron-timer.ts";
import { pingRun } from "./ping.ts";
import type { ScheduledRun, ScheduleStatus } from "./scheduled-run.ts";

const HISTORY_LENGTH = 100;

/** Starts one instance of a process as a oneshot at each time of its schedule. */
export class ScheduledProcess {
  readonly #process: ManagedProcess;
  readonly #host: SupervisorHost;
  readonly #logger: Logger;
  readonly #onRun: (run: ScheduledRun) => void;
  readonly #abort = new AbortController();
  readonly #unfinished = new Set<Promise<void>>();
  readonly #history: ScheduledRun[] = [];
  /** Numbers in use: an instance that was just asked for doesn't show yet. */
  readonly #numbers = new Set<number>();
  #cron: CronTimer | undefined;
  #tail: Promise<void> = Promise.resolve();

  constructor(
    process: ManagedProcess,
    host: SupervisorHost,
    logger: Logger,
    onRun: (run: ScheduledRun) => void,
  ) {
    this.#process = process;
    this.#host = host;
    this.#logger = logger;
    this.#onRun = onRun;
  }

  get isPaused(): boolean {
    return this.#cron?.isPaused === true;
  }

  /** Newest last. */
  get history(): readonly ScheduledRun[] {
    return this.#history;
  }

  status(): ScheduleStatus {
    const {
      cron = "",
      timezone = "UTC",
      overlap = "skip",
    } = this.#process.spec.options.schedule ?? {};
    const running = this.#unfinished.size > 0 ? "running" : "idle";
    const next = this.isPaused ? undefined : this.#cron?.next();
    return {
      process: this.#process.name,
      cron,
      timezone,
      overlap,
      state: this.isPaused ? "paused" : running,
      nextRunAt: next?.toISOString() ?? null,
      lastRun: this.#history.at(-1) ?? null,
    };
  }

  start(): void {
    const { schedule } = this.#process.spec.options;
    if (schedule === undefined) return;
    const { cron, timezone, jitterMs } = schedule;
    const { clock } = this.#host;
    this.#cron = new CronTimer(cron, timezone, clock, () => void this.#onTime(jitterMs));
    this.#cron.start();
    if (this.#hasMissed(schedule)) this.trigger("missed");
    // What passed before the first start was not missed.
    this.#process.scheduledAtMs ??= clock.now();
  }

  /** Fires no more until it is resumed; what runs goes on. */
  pause(): void {
    this.#cron?.pause();
  }

  resume(): void {
    this.#cron?.resume();
  }

  /** Fires now, by the overlap policy; a paused schedule can be fired by hand. */
  trigger(trigger: ScheduledRun["trigger"]): ScheduledRun {
    const { overlap = "skip" } = this.#process.spec.options.schedule ?? {};
    const run = this.#newRun(trigger);
    if (trigger !== "manual") this.#process.scheduledAtMs = this.#host.clock.now();
    if (this.#abort.signal.aborted || this.#isFull(overlap)) {
      run.outcome = "skipped";
      run.endedAt = run.startedAt;
      this.#record(run);
      return run;
    }
    this.#record(run);
    const running = overlap === "queue" ? this.#tail.then(() => this.#run(run)) : this.#run(run);
    this.#unfinished.add(running);
    this.#tail = running;
    void running.finally(() => this.#unfinished.delete(running));
    return run;
  }

  /** Fires no more; what runs is stopped with the process. */
  stop(): void {
    this.#cron?.stop();
    this.#abort.abort();
  }

  async #onTime(jitterMs: number): Promise<void> {
    const { clock } = this.#host;
    if (jitterMs > 0) await sleep(clock, this.#host.random() * jitterMs, this.#abort.signal);
    // Whoever has paused or ended it in the meantime has meant this run too.
    if (!this.isPaused && !this.#abort.signal.aborted) this.trigger("schedule");
  }

  #hasMissed({
    cron,
    timezone,
    catchUpMs,
  }: Record<"cron" | "timezone", string> & { catchUpMs: number }): boolean {
    const { scheduledAtMs } = this.#process;
    if (catchUpMs === 0 || scheduledAtMs === undefined) return false;
    const nowMs = this.#host.clock.now();
    const dueAtMs = lastRun(cron, timezone, new Date(nowMs))?.getTime();
    return dueAtMs !== undefined && dueAtMs > scheduledAtMs && nowMs - dueAtMs <= catchUpMs;
  }

  #isFull(overlap: ScheduleStatus["overlap"]): boolean {
    if (overlap === "skip") return this.#unfinished.size > 0;
    return overlap === "parallel" && this.#unfinished.size >= this.#process.spec.options.maxScale;
  }

  #newRun(trigger: ScheduledRun["trigger"]): ScheduledRun {
    return {
      id: randomUUID(),
      process: this.#process.name,
      instance: undefined,
      trigger,
      startedAt: timestamp(this.#host.clock),
      endedAt: undefined,
      outcome: "queued",
      exitCode: undefined,
    };
  }

  async #run(run: ScheduledRun): Promise<void> {
    if (this.#abort.signal.aborted) return;
    run.outcome = "running";
    run.startedAt = timestamp(this.#host.clock);
    this.#report(run);
    const active = this.#process.active.map(({ number }) => number);
    const [number = 1] = lowestFreeNumbers(new Set([...active, ...this.#numbers]), 1);
    this.#numbers.add(number);
    try {
      const instance = await this.#process.startNumber(number, "scheduled", this.#abort.signal);
      run.instance = instance.id;
      run.outcome = await this.#outcome(instance);
      run.exitCode = instance.lastExit?.code ?? undefined;
    } catch (error) {
      run.outcome = "failed";
      this.#logger.warn({ err: error, process: this.#process.name }, "a scheduled run failed");
    }
    this.#numbers.delete(number);
    run.endedAt = timestamp(this.#host.clock);
    this.#report(run);
  }

  async #outcome(
    instance: Awaited<ReturnType<ManagedProcess["startNumber"]>>,
  ): Promise<ScheduledRun["outcome"]> {
    const timeoutMs = this.#process.spec.options.schedule?.timeoutMs ?? 0;
    const timeout = timeoutMs > 0 ? timeoutSignal(this.#host.clock, timeoutMs) : undefined;
    const signal =
      timeout === undefined
        ? this.#abort.signal
        : AbortSignal.any([this.#abort.signal, timeout.signal]);
    const state = await instance.whenEnded(signal);
    timeout?.timer.close();
    if (timeout?.signal.aborted === true && state !== "stopped" && state !== "failed") {
      await instance.stop(`scheduled run took more than ${timeoutMs} ms`);
      return "timed-out";
    }
    return state === "stopped" ? "succeeded" : "failed";
  }

  #record(run: ScheduledRun): void {
    this.#history.push(run);
    if (this.#history.length > HISTORY_LENGTH) this.#history.shift();
    // A run that can begin at once says so itself.
    if (run.outcome === "skipped") this.#report(run);
  }

  #report(run: ScheduledRun): void {
    this.#onRun({ ...run });
    const { ping } = this.#process.spec.options.schedule ?? {};
    if (ping === undefined) return;
    void pingRun(ping, run).catch((error: unknown) =>
      this.#logger.warn({ err: error, process: run.process }, "a ping of a scheduled run failed"),
    );
  }
}
