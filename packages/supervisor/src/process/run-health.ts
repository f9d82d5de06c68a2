import { HealthMonitor } from "../health/health-monitor.ts";
import type { ProbeSubject } from "../health/create-probe.ts";
import type { Timer } from "../host/clock.ts";
import type { SupervisorHost } from "../host/supervisor-host.ts";
import type { LogRing } from "../logs/log-ring.ts";
import type { ResolvedProcessOptions } from "../options/process-schema.ts";
import type { Run } from "./run.ts";

/** What becomes of one run's health. */
export interface RunHealthListeners {
  onReady(reason: string): void;
  onUnready(reason: string): void;
  onReadyTimeout(reason: string): void;
  /** The run has to be ended; `isHung` when it can neither drain nor handle a signal. */
  onDead(reason: string, isHung: boolean): void;
  onStackCaptured(frames: readonly string[]): void;
}

/** Watches one run from its spawn to its end: the ready timeout, the probes, the stack of a hang. */
export class RunHealth {
  readonly #options: ResolvedProcessOptions;
  readonly #run: Run;
  readonly #ring: LogRing;
  readonly #listeners: RunHealthListeners;
  readonly #host: SupervisorHost;
  readonly #readyTimer: Timer;
  #monitor: HealthMonitor | undefined;

  constructor(
    options: ResolvedProcessOptions,
    run: Run,
    ring: LogRing,
    listeners: RunHealthListeners,
    host: SupervisorHost,
  ) {
    this.#options = options;
    this.#run = run;
    this.#ring = ring;
    this.#listeners = listeners;
    this.#host = host;
    const { readyTimeoutMs } = options;
    this.#readyTimer = host.clock.setTimeout(
      () => listeners.onReadyTimeout(`not ready within ${readyTimeoutMs} ms`),
      readyTimeoutMs,
    );
  }

  /** Begins to probe: the process exists. */
  start(subject: ProbeSubject): void {
    const { health } = this.#options;
    this.#monitor = new HealthMonitor(health, subject, {
      onReady: (reason) => this.#pass(reason),
      onUnready: (reason) => this.#listeners.onUnready(reason),
      onDead: (reason) => void this.#onDead(reason),
    });
    this.#monitor.start();
    if (!HealthMonitor.decidesReadiness(health)) this.#pass("started");
  }

  /** Asks every probe now: the child said something that may change the answer. */
  hurry(): void {
    this.#monitor?.hurry();
  }

  stop(): void {
    this.#readyTimer.close();
    this.#monitor?.stop();
  }

  #pass(reason: string): void {
    this.#readyTimer.close();
    this.#listeners.onReady(reason);
  }

  async #onDead(reason: string): Promise<void> {
    const { liveness } = this.#options.health;
    const { pid } = this.#run;
    this.#monitor?.stop();
    if (liveness?.type === "ipc" && liveness.captureStack && pid !== undefined) {
      const frames = await this.#host.captureStack(pid, (limit) => this.#ring.newest(limit));
      if (frames.length > 0) this.#listeners.onStackCaptured(frames);
    }
    this.#listeners.onDead(reason, liveness?.type === "ipc");
  }
}
