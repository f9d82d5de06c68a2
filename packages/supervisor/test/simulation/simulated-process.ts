import type { SupervisorMessage } from "../../src/child/protocol.ts";
import type { Clock, Timer } from "../../src/host/clock.ts";
import type { LaunchPlan } from "../../src/process/launch-plan.ts";
import type { Exit } from "../../src/process/restart-policy.ts";
import type { Run } from "../../src/process/run.ts";
import type { RunListeners } from "../../src/process/run.ts";
import type { Behaviour } from "./behaviour.ts";

const DEFAULT_HEARTBEAT_MS = 1_000;
const SIGNALS_THAT_END: ReadonlySet<NodeJS.Signals> = new Set([
  "SIGTERM",
  "SIGINT",
  "SIGQUIT",
  "SIGHUP",
]);

/** A child that exists only in a simulation, and its group. */
export class SimulatedProcess implements Run {
  readonly id = undefined;
  readonly plan: LaunchPlan;
  readonly pid: number | undefined;
  readonly startedAtMs: number;
  readonly startedMonotonicMs: number;
  readonly exited: Promise<Exit>;
  readonly outputEnded = Promise.resolve();
  readonly isAdopted = false;
  readonly #behaviour: Behaviour;
  readonly #clock: Clock;
  readonly #listeners: RunListeners;
  readonly #timers = new Set<Timer>();
  #resolveExited: (exit: Exit) => void = () => {};
  #hasEnded = false;
  #hasOrphan = false;
  #isDying = false;

  constructor(
    plan: LaunchPlan,
    pid: number,
    behaviour: Behaviour,
    clock: Clock,
    listeners: RunListeners,
  ) {
    this.plan = plan;
    this.#behaviour = behaviour;
    this.#clock = clock;
    this.#listeners = listeners;
    this.startedAtMs = clock.now();
    this.startedMonotonicMs = clock.monotonicMs();
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
    const { spawnError } = behaviour;
    this.pid = spawnError === undefined ? pid : undefined;
    void clock.nextTurn().then(() => this.#begin());
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** When it stops answering, on the monotonic clock; never where it ends first. */
  get freezesAtMs(): number {
    return this.startedMonotonicMs + (this.#behaviour.freezesAfterMs ?? Number.POSITIVE_INFINITY);
  }

  /** When it says that it is ready, on the monotonic clock. */
  get bootedAtMs(): number {
    return this.startedMonotonicMs + this.#behaviour.bootMs;
  }

  /** Whether it would answer a probe well. */
  get isReady(): boolean {
    const { bootMs, becomesReady } = this.#behaviour;
    return !this.#hasEnded && becomesReady && this.#ageMs >= bootMs && !this.#isFrozen;
  }

  get residentBytes(): number {
    const { residentBytes, growsBytesPerSecond } = this.#behaviour;
    return residentBytes + (growsBytesPerSecond * this.#ageMs) / 1_000;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.isAlive()) return;
    const { obeysTerm, stopMs, killMs } = this.#behaviour;
    if (signal === "SIGKILL") {
      this.#hasOrphan = false;
      this.#isDying = true;
      this.#after(killMs, () => this.end({ code: null, signal }));
    } else if (SIGNALS_THAT_END.has(signal) && obeysTerm) {
      this.#hasOrphan = false;
      this.#after(stopMs, () => this.end({ code: null, signal }));
    }
  }

  send(message: SupervisorMessage): boolean {
    if (!this.plan.ipc || this.#hasEnded) return false;
    if (message.millrace === "drain" && !this.#isFrozen) {
      this.#after(this.#behaviour.stopMs, () => this.#say({ millrace: "drained" }));
    }
    return true;
  }

  isAlive(): boolean {
    if (!this.#hasEnded) return this.pid !== undefined;
    return this.#hasOrphan;
  }

  release(): void {
    if (this.isAlive()) throw new Error(`${this.pid} was let go of alive`);
  }

  /** Ends it, as if by itself. */
  end(exit: Exit): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    for (const timer of this.#timers) timer.close();
    this.#hasOrphan = this.#behaviour.leavesOrphan && !this.#isDying;
    this.#resolveExited(exit);
    this.#listeners.onOutputEnd("stdout");
    this.#listeners.onExit(exit);
  }

  get #ageMs(): number {
    return this.#clock.monotonicMs() - this.startedMonotonicMs;
  }

  get #isFrozen(): boolean {
    const { freezesAfterMs } = this.#behaviour;
    return freezesAfterMs !== undefined && this.#ageMs >= freezesAfterMs;
  }

  #begin(): void {
    const { spawnError, bootMs, becomesReady, endsAfterMs, exit } = this.#behaviour;
    if (spawnError !== undefined) {
      this.end({ code: null, signal: null, spawnError });
      return;
    }
    if (this.#hasEnded) return;
    this.#listeners.onSpawned();
    this.#listeners.onOutput("stdout", Buffer.from("Error: began\n  at once\n"));
    if (endsAfterMs !== undefined) this.#after(endsAfterMs, () => this.end(exit));
    if (!this.plan.ipc) return;
    this.#after(bootMs, () => {
      this.#say({ millrace: "hello" });
      if (becomesReady) this.#say({ millrace: "ready" });
      this.#beat();
    });
  }

  #beat(): void {
    this.#say({ millrace: "heartbeat", busy: 0, eventLoopUtilisation: 0 });
    const everyMs = Number(this.plan.env["MILLRACE_HEARTBEAT_MS"]);
    // Where nobody listens to them, beats are only noise.
    if (everyMs > DEFAULT_HEARTBEAT_MS) this.#after(everyMs, () => this.#beat());
  }

  #say(message: object): void {
    if (!this.#isFrozen) this.#listeners.onMessage(message);
  }

  #after(delayMs: number, callback: () => void): void {
    if (this.#hasEnded) return;
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(timer);
      callback();
    }, delayMs);
    this.#timers.add(timer);
  }
}
