import type { ResolvedProcessOptions } from "../options/process-schema.ts";
import { createProbe, type ProbeSubject } from "./create-probe.ts";
import { ProbeLoop } from "./probe-loop.ts";

/** How often readiness is asked for while an instance starts: nothing hangs on its failures yet. */
const EAGER_MS = 100;

type HealthOptions = ResolvedProcessOptions["health"];

/** What a monitor found out about one run. */
export interface HealthListeners {
  onReady(reason: string): void;
  onUnready(reason: string): void;
  /** Startup or liveness failed: the instance has to be restarted. */
  onDead(reason: string): void;
}

/** Runs the probes of one run: startup first, then readiness and liveness side by side. */
export class HealthMonitor {
  readonly #health: HealthOptions;
  readonly #subject: ProbeSubject;
  readonly #listeners: HealthListeners;
  #loops: ProbeLoop[] = [];

  constructor(health: HealthOptions, subject: ProbeSubject, listeners: HealthListeners) {
    this.#health = health;
    this.#subject = subject;
    this.#listeners = listeners;
  }

  /** Whether readiness is probed at all; without probes a run is ready when it has been spawned. */
  static decidesReadiness(health: HealthOptions): boolean {
    return health.startup !== undefined || health.readiness !== undefined;
  }

  start(): void {
    const { startup } = this.#health;
    const { clock } = this.#subject.host;
    if (startup === undefined) {
      this.#startRest();
      return;
    }
    const probe = createProbe(startup, "startup", this.#subject);
    const loop = this.#add(
      new ProbeLoop(
        probe,
        startup,
        (passed, reason) => {
          loop.stop();
          if (passed) this.#startRest();
          else this.#listeners.onDead(`startup probe failed: ${reason}`);
        },
        clock,
      ),
    );
    loop.start();
  }

  /** Asks every probe now: the child said something that may change the answer. */
  hurry(): void {
    for (const loop of this.#loops) loop.hurry();
  }

  stop(): void {
    for (const loop of this.#loops) loop.stop();
    this.#loops = [];
  }

  #startRest(): void {
    const { readiness, liveness, startup } = this.#health;
    const { clock } = this.#subject.host;
    if (readiness !== undefined) {
      const probe = createProbe(readiness, "readiness", this.#subject);
      this.#add(
        new ProbeLoop(
          probe,
          readiness,
          (passed, reason) => {
            if (passed) this.#listeners.onReady("readiness probe passed");
            else this.#listeners.onUnready(`readiness probe failed: ${reason}`);
          },
          clock,
          EAGER_MS,
        ),
      ).start();
    } else if (startup !== undefined) {
      this.#listeners.onReady("startup probe passed");
    }
    if (liveness === undefined) return;
    const probe = createProbe(liveness, "liveness", this.#subject);
    this.#add(
      new ProbeLoop(
        probe,
        liveness,
        (passed, reason) => {
          if (!passed) this.#listeners.onDead(`liveness probe failed: ${reason}`);
        },
        clock,
      ),
    ).start();
  }

  #add(loop: ProbeLoop): ProbeLoop {
    this.#loops.push(loop);
    return loop;
  }
}
