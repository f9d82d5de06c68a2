import type { Timer } from "../../src/host/clock.ts";
import type { LoopHandle } from "../../src/host/event-loop-hold.ts";
import type { HostGuardian, SupervisorHost } from "../../src/host/supervisor-host.ts";
import type { LaunchPlan } from "../../src/process/launch-plan.ts";
import type { CommandOutcome, CommandPlace } from "../../src/process/run-command.ts";
import type { RunListeners } from "../../src/process/run.ts";
import type { ResourceUsage } from "../../src/process/resource-usage.ts";
import { behaviourOf, type Temper, TEMPERS } from "./behaviour.ts";
import { Random } from "./random.ts";
import { SimulatedProcess } from "./simulated-process.ts";
import { VirtualClock } from "./virtual-clock.ts";

// Above every pid that Linux gives out: nothing real is hit should one escape.
const FIRST_PID = 10_000_001;

/** A computer whose time and processes are made up; one seed decides all that happens there. */
export class SimulatedHost implements SupervisorHost {
  readonly clock: VirtualClock;
  readonly capacity = { cpuCount: 4, memoryBytes: 8e9 };
  readonly guardian = new SimulatedGuardian();
  /** How the children of each process are by nature, from now on. */
  readonly tempers = new Map<string, Temper>();
  /** Every process that ever was. */
  readonly launched: SimulatedProcess[] = [];
  readonly #random: Random;
  readonly #byPid = new Map<number, SimulatedProcess>();
  readonly #byPlan = new WeakMap<object, SimulatedProcess>();
  /** Called with the process's name before each launch. */
  onLaunch: (process: string) => void = () => {};
  #lastPid = FIRST_PID;
  #commands = 0;

  constructor(seed: number, epochMs?: number) {
    this.clock = new VirtualClock(epochMs);
    this.#random = new Random(seed);
  }

  random(): number {
    return this.#random.next();
  }

  holdEventLoop(): LoopHandle {
    return { ref: () => {}, unref: () => {}, close: () => {} };
  }

  launch(plan: LaunchPlan, listeners: RunListeners): SimulatedProcess {
    const name = plan.env["MILLRACE_PROCESS_NAME"] ?? "";
    this.onLaunch(name);
    const fixed = TEMPERS.find((temper) => temper === plan.env["TEMPER"]);
    const temper = fixed ?? this.tempers.get(name) ?? "calm";
    const behaviour = behaviourOf(temper, this.#random);
    const pid = ++this.#lastPid;
    const process = new SimulatedProcess(plan, pid, behaviour, this.clock, listeners);
    if (process.pid !== undefined) this.#byPid.set(pid, process);
    this.#byPlan.set(plan, process);
    this.launched.push(process);
    return process;
  }

  /** Probes look at their process; what else is run succeeds, fails or hangs as its name says. */
  runCommand(
    command: readonly string[],
    place: CommandPlace,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<CommandOutcome> {
    const [file = ""] = command;
    if (signal.aborted) return Promise.resolve({ outcome: "aborted", reason: "too late" });
    this.#commands++;
    return new Promise((resolve) => {
      const timers: Timer[] = [];
      const finish = (outcome: CommandOutcome["outcome"]): void => {
        for (const timer of timers) timer.close();
        signal.removeEventListener("abort", onAbort);
        this.#commands--;
        resolve({ outcome, reason: outcome === "succeeded" ? undefined : `${file} ${outcome}` });
      };
      const onAbort = (): void => finish("aborted");
      signal.addEventListener("abort", onAbort);
      timers.push(this.clock.setTimeout(() => finish("timed-out"), timeoutMs));
      if (file === "hangs") return;
      const takesMs = this.#random.between(1, 50);
      timers.push(
        this.clock.setTimeout(() => {
          const isGood = file === "is-ready" ? this.#byPlan.get(place)?.isReady : file !== "fails";
          finish(isGood === true ? "succeeded" : "failed");
        }, takesMs),
      );
    });
  }

  /** What leaves its group is not simulated. */
  findStrays(): Promise<[]> {
    return Promise.resolve([]);
  }

  sample(pid: number): ResourceUsage | undefined {
    const process = this.#byPid.get(pid);
    if (process === undefined || process.hasEnded) return undefined;
    return { residentBytes: process.residentBytes, cpuSeconds: 0 };
  }

  captureStack(): Promise<string[]> {
    return Promise.resolve(["busy (worker.js:1)"]);
  }

  /** Processes whose leader runs. */
  get running(): SimulatedProcess[] {
    return [...this.#alive()].filter(({ hasEnded }) => !hasEnded);
  }

  /** Everything that still is: processes, what they left in their groups, commands. */
  leftovers(): string[] {
    const alive = [...this.#alive()].map(
      ({ pid, plan, hasEnded }) =>
        `${plan.env["MILLRACE_INSTANCE_ID"]} ${pid}${hasEnded ? " (left in its group)" : ""}`,
    );
    return this.#commands === 0 ? alive : [...alive, `${this.#commands} commands`];
  }

  *#alive(): Generator<SimulatedProcess> {
    for (const [pid, process] of this.#byPid) {
      if (process.isAlive()) yield process;
      else if (process.hasEnded) this.#byPid.delete(pid);
    }
  }
}

class SimulatedGuardian implements HostGuardian {
  readonly id = "simulated";
  readonly groups = new Set<number>();
  isRunning = false;

  start(): void {
    this.isRunning = true;
  }

  add(groupId: number): void {
    this.groups.add(groupId);
  }

  remove(groupId: number): void {
    this.groups.delete(groupId);
  }

  close(): Promise<void> {
    this.isRunning = false;
    return Promise.resolve();
  }
}
