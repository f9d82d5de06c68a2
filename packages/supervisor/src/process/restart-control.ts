import type { Timer } from "../host/clock.ts";
import type { RestartReason } from "../supervisor-events.ts";
import type { InstanceServices } from "./instance-services.ts";
import { type ProcessSpec, restartModeOf } from "./process-spec.ts";
import { decideRestart, type Exit } from "./restart-policy.ts";

/** What follows an exit: an end, or a start after a wait. */
export type Aftermath =
  | { action: "end"; state: "stopped" | "failed" }
  | { action: "restart"; state: "backoff" | "crashloop"; delayMs: number };

type RestartServices = Pick<InstanceServices, "budget" | "wave" | "siblings" | "turns" | "host">;

/** Decides and times the restarts of one instance, and counts them. */
export class RestartControl {
  /** Restarts so far, by reason. */
  readonly counts = new Map<RestartReason, number>();
  readonly #spec: ProcessSpec;
  readonly #services: RestartServices;
  #level = 0;
  #timer: Timer | undefined;
  /** The launch that is due; another one, or none, takes it back even when its turn has come. */
  #due: (() => void) | undefined;
  #nextStartAt: number | undefined;

  constructor(spec: ProcessSpec, services: RestartServices) {
    this.#spec = spec;
    this.#services = services;
  }

  /** Restarts so far, whatever the reason. */
  get total(): number {
    let sum = 0;
    for (const count of this.counts.values()) sum += count;
    return sum;
  }

  /** Unstable crashes in a row, less what stable uptime has forgiven. */
  get level(): number {
    return this.#level;
  }

  /** When the next start is due, in milliseconds since the epoch; `undefined` when none is. */
  get nextStartAtMs(): number | undefined {
    return this.#nextStartAt;
  }

  /** Judges an exit, and counts it when a restart follows. */
  judge(exit: Exit, uptimeMs: number, kind: RestartReason): Aftermath {
    const policy = { ...this.#spec.options, restart: restartModeOf(this.#spec) };
    const { budget, wave, siblings, host } = this.#services;
    const decision = decideRestart(exit, uptimeMs, this.#level, policy, () => host.random());
    this.#level = decision.level;
    if (decision.action === "end") return { action: "end", state: decision.state };
    this.count(kind);
    const { capMs } = policy.backoff;
    const nowMs = host.clock.monotonicMs();
    const instances = siblings();
    const waveMs = wave.take(nowMs, instances, capMs);
    // What waits as long as it may begins a little earlier instead, so as not to wait longer.
    const spreadMs =
      decision.delayMs + waveMs <= capMs ? decision.delayMs + waveMs : Math.max(0, capMs - waveMs);
    const heldMs = decision.stable ? 0 : budget.take(nowMs, capMs > 0 ? instances / capMs : 0);
    return {
      action: "restart",
      state: decision.crashloop ? "crashloop" : "backoff",
      delayMs: Math.max(decision.stable ? waveMs : spreadMs, heldMs),
    };
  }

  /** Counts a restart that somebody else decided on. */
  count(kind: RestartReason): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  /** Runs `launch` after the wait, in a turn of its own. */
  schedule(delayMs: number, launch: () => void): void {
    this.cancel();
    const { turns, host } = this.#services;
    this.#nextStartAt = host.clock.now() + delayMs;
    this.#due = launch;
    const takeTurn = (): void =>
      turns.add(() => {
        if (this.#due === launch) launch();
      });
    if (delayMs === 0) takeTurn();
    else this.#timer = host.clock.setTimeout(takeTurn, delayMs);
  }

  cancel(): void {
    this.#timer?.close();
    this.#due = undefined;
    this.#nextStartAt = undefined;
  }

  /** Forgets earlier crashes: a person has started it again. */
  forgive(): void {
    this.#level = 0;
  }
}
