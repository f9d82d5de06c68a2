import { type Logger, messageOf, MillraceError } from "@millrace/core";
import { parseChildMessage } from "../child/protocol.ts";
import type { SupervisorErrorCode } from "../errors.ts";
import { HealthMonitor } from "../health/health-monitor.ts";
import type { ChildSignals } from "../health/ipc-probe.ts";
import { captureStack } from "../health/stack-capture.ts";
import { OutputLog } from "../logs/output-log.ts";
import type { InstanceReports, RestartReason } from "../supervisor-events.ts";
import { canMove, type InstanceState, isAlive, isEnding } from "./instance-state.ts";
import { instanceId, type LaunchPlan } from "./launch-plan.ts";
import type { LaunchTurns } from "./launch-turns.ts";
import type { Variables } from "./interpolate.ts";
import { type ProcessSpec, restartModeOf } from "./process-spec.ts";
import type { RestartBudget } from "./restart-budget.ts";
import { decideRestart, describeExit, type Exit } from "./restart-policy.ts";
import type { Run } from "./run.ts";
import { spawnRun } from "./spawned-run.ts";
import { stopRun } from "./stop-ladder.ts";

/** What an instance needs from its process. */
export interface InstanceServices {
  plan(spec: ProcessSpec, number: number): LaunchPlan;
  variables(spec: ProcessSpec, number: number): Variables;
  budget: RestartBudget;
  /** Shared by all processes of a supervisor. */
  turns: LaunchTurns;
  reports: InstanceReports;
  logger: Logger;
}

// A child may put off its deadline by as much as the stop timeout, all extensions together.
const MAX_EXTENSION_FACTOR = 1;

/** One copy of a process: runs it, restarts it, watches it, stops it. */
export class Instance {
  readonly id: string;
  readonly number: number;
  readonly spec: ProcessSpec;
  readonly log: OutputLog;
  readonly restarts = new Map<RestartReason, number>();
  readonly #services: InstanceServices;
  #force = new AbortController();
  #state: InstanceState = "stopped";
  #reason = "not started";
  #run: Run | undefined;
  #plan: LaunchPlan | undefined;
  #health: HealthMonitor | undefined;
  #signals: ChildSignals = { saidReady: false, lastHeartbeatMs: undefined };
  #speaksDrain = false;
  #onDrained: () => void = () => {};
  #drained: Promise<void> = Promise.resolve();
  #extensionMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #readyTimer: NodeJS.Timeout | undefined;
  #level = 0;
  #stopping: Promise<void> | undefined;
  #recycling: Promise<void> | undefined;
  #settledWaiters = new Set<() => void>();
  /** Jobs in hand, as the child last reported. */
  busy: number | undefined;
  /** Event-loop utilisation, as the child last reported. */
  eventLoopUtilisation: number | undefined;
  startupMs: number | undefined;
  readyAtMs: number | undefined;
  lastExit: Exit | undefined;

  constructor(spec: ProcessSpec, number: number, services: InstanceServices) {
    this.spec = spec;
    this.number = number;
    this.id = instanceId(spec.name, number);
    this.#services = services;
    this.log = new OutputLog(spec.options.logs, {
      process: spec.name,
      instance: this.id,
      logger: services.logger,
      onLine: (entry) => services.reports.onLine(entry),
    });
  }

  get state(): InstanceState {
    return this.#state;
  }

  get reason(): string {
    return this.#reason;
  }

  get pid(): number | undefined {
    return this.#run?.hasEnded === false ? this.#run.pid : undefined;
  }

  get run(): Run | undefined {
    return this.#run;
  }

  get uptimeMs(): number {
    if (this.#run === undefined || this.#run.hasEnded) return 0;
    return performance.now() - this.#run.startedMonotonicMs;
  }

  /** Whether it runs or will run again unless somebody stops it. */
  get isActive(): boolean {
    if (this.#stopping !== undefined) return false;
    if (isEnding(this.#state)) return this.#recycling !== undefined;
    return isAlive(this.#state) || this.#state === "backoff" || this.#state === "crashloop";
  }

  /** Starts it, unless it runs already or is about to. */
  start(reason: string): void {
    if (this.isActive || isAlive(this.#state)) return;
    this.#level = 0;
    this.#launch(reason);
  }

  /** Takes over a process that an earlier supervisor left running. */
  adopt(makeRun: (onExit: (exit: Exit) => void) => Run): void {
    this.#move("starting", "adopted");
    this.#plan = this.#services.plan(this.spec, this.number);
    const run = makeRun((exit) => this.#onExit(run, exit));
    this.#watch(run);
    this.#onSpawned();
  }

  /** Stops it for good; resolves when nothing of it is left. */
  stop(reason: string): Promise<void> {
    clearTimeout(this.#timer);
    this.#stopping ??= this.#stop(reason).finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  /** Cuts a stop short: SIGKILL now. */
  kill(): void {
    this.#force.abort();
  }

  /** Stops the run and lets the restart policy decide, as after a crash. */
  async recycle(reason: string, kind: RestartReason): Promise<void> {
    if (this.#stopping !== undefined || !isAlive(this.#state) || isEnding(this.#state)) return;
    const uptimeMs = this.uptimeMs;
    this.#recycling = this.#descend(reason);
    await this.#recycling;
    this.#recycling = undefined;
    // Somebody has decided meanwhile that it must not come back.
    if (this.#stopping !== undefined) return;
    this.#afterExit({ code: null, signal: "SIGTERM" }, uptimeMs, reason, kind);
  }

  /**
   * Waits until it is ready.
   *
   * @throws {@link MillraceError} `SUPERVISOR_INSTANCE_FAILED` when it crashes, fails or stops first;
   * `signal.reason` when aborted.
   */
  async whenReady(signal: AbortSignal): Promise<void> {
    const crashesBefore = this.#crashes();
    while (this.#state !== "ready") {
      signal.throwIfAborted();
      const gone = this.#state === "failed" || this.#state === "stopped" || isEnding(this.#state);
      if (gone || this.#crashes() > crashesBefore) {
        throw new MillraceError<SupervisorErrorCode>(
          "SUPERVISOR_INSTANCE_FAILED",
          `${this.id} did not become ready: ${this.#reason}`,
          { details: { instance: this.id, state: this.#state } },
        );
      }
      await this.#nextChange(signal);
    }
  }

  /** Waits until it has ended for good and says how; `signal` only ends the waiting. */
  async whenEnded(signal: AbortSignal): Promise<InstanceState> {
    while (this.#state !== "stopped" && this.#state !== "failed" && !signal.aborted) {
      await this.#nextChange(signal);
    }
    return this.#state;
  }

  /** Waits for the next change of state, or until `signal` fires. */
  #nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#settledWaiters.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#settledWaiters.add(wake);
      signal.addEventListener("abort", wake);
    });
  }

  #crashes(): number {
    let sum = 0;
    for (const count of this.restarts.values()) sum += count;
    return sum;
  }

  #launch(reason: string): void {
    this.#move("starting", reason);
    this.#signals = { saidReady: false, lastHeartbeatMs: undefined };
    this.#speaksDrain = false;
    this.#extensionMs = 0;
    if (this.#force.signal.aborted) this.#force = new AbortController();
    this.busy = undefined;
    try {
      this.#plan = this.#services.plan(this.spec, this.number);
    } catch (error) {
      const exit: Exit = { code: null, signal: null, spawnError: messageOf(error) };
      this.lastExit = exit;
      this.#afterExit(exit, 0, describeExit(exit), "spawn-error");
      return;
    }
    this.log.useFile(this.#plan.logFile);
    const run: Run = spawnRun(this.#plan, {
      onSpawned: () => {
        if (this.#run === run) this.#onSpawned();
      },
      onExit: (exit) => this.#onExit(run, exit),
      onMessage: (message) => {
        if (this.#run === run) this.#onMessage(message);
      },
      onOutput: (stream, chunk) => this.log.push(stream, chunk),
      onOutputEnd: (stream) => this.log.end(stream),
    });
    this.#watch(run);
  }

  #watch(run: Run): void {
    this.#run = run;
    clearTimeout(this.#readyTimer);
    this.#readyTimer = setTimeout(() => this.#onReadyTimeout(), this.spec.options.readyTimeoutMs);
    this.#readyTimer.unref();
  }

  #onSpawned(): void {
    const { health } = this.spec.options;
    this.#health = new HealthMonitor(
      health,
      {
        variables: this.#services.variables(this.spec, this.number),
        context: this.#plan ?? { env: {}, cwd: undefined, uid: undefined, gid: undefined },
        signals: this.#signals,
      },
      {
        onReady: (reason) => this.#onReady(reason),
        onUnready: (reason) => {
          if (this.#state === "ready") this.#move("unhealthy", reason);
        },
        onDead: (reason) => void this.#onDead(reason),
      },
    );
    this.#health.start();
    if (!HealthMonitor.decidesReadiness(health)) this.#onReady("started");
  }

  #onReady(reason: string): void {
    if (this.#state !== "starting" && this.#state !== "unhealthy") return;
    clearTimeout(this.#readyTimer);
    if (this.#state === "starting") {
      this.startupMs = this.uptimeMs;
      this.readyAtMs = Date.now();
    }
    this.#move("ready", reason);
  }

  #onReadyTimeout(): void {
    if (this.#state !== "starting") return;
    void this.recycle(`not ready within ${this.spec.options.readyTimeoutMs} ms`, "health");
  }

  async #onDead(reason: string): Promise<void> {
    const { liveness } = this.spec.options.health;
    const pid = this.pid;
    this.#health?.stop();
    if (liveness?.type === "ipc" && liveness.captureStack && pid !== undefined) {
      const frames = await captureStack(pid, (limit) => this.log.ring.newest(limit));
      if (frames.length > 0) this.#services.reports.onStackCaptured(this.id, frames);
    }
    // A child whose event loop stands still can neither drain nor handle a signal.
    if (liveness?.type === "ipc") this.kill();
    await this.recycle(reason, "health");
  }

  #onMessage(raw: unknown): void {
    const message = parseChildMessage(raw);
    switch (message?.millrace) {
      case "hello":
        this.#speaksDrain = true;
        this.#drained = new Promise((resolve) => {
          this.#onDrained = resolve;
        });
        break;
      case "ready":
        this.#signals.saidReady = true;
        this.#health?.hurry();
        break;
      case "heartbeat":
        this.#signals.lastHeartbeatMs = performance.now();
        this.busy = message.busy;
        this.eventLoopUtilisation = message.eventLoopUtilisation;
        break;
      case "drain-progress":
        this.busy = message.busy;
        break;
      case "drain-extend": {
        const most = this.spec.options.stop.timeoutMs * MAX_EXTENSION_FACTOR;
        this.#extensionMs = Math.min(most, this.#extensionMs + message.byMs);
        break;
      }
      case "drained":
        this.#onDrained();
        break;
      case undefined:
        break;
      default:
        message satisfies never;
    }
  }

  #onExit(run: Run, exit: Exit): void {
    if (this.#run !== run) return;
    const uptimeMs = performance.now() - run.startedMonotonicMs;
    this.lastExit = exit;
    this.#health?.stop();
    clearTimeout(this.#readyTimer);
    this.#services.reports.onExit({
      process: this.spec.name,
      instance: this.id,
      number: this.number,
      generation: this.spec.generation,
      pid: run.pid,
      code: exit.code,
      signal: exit.signal,
      spawnError: exit.spawnError,
      uptimeMs,
    });
    if (isEnding(this.#state)) return;
    // What a crashed leader leaves behind in its group would double the work of its successor.
    run.signal("SIGKILL");
    const kind =
      exit.spawnError === undefined ? (exit.code === 0 ? "exit" : "crash") : "spawn-error";
    this.#afterExit(exit, uptimeMs, describeExit(exit), kind);
  }

  #afterExit(exit: Exit, uptimeMs: number, reason: string, kind: RestartReason): void {
    const { options } = this.spec;
    const policy = { ...options, restart: restartModeOf(this.spec) };
    const decision = decideRestart(exit, uptimeMs, this.#level, policy);
    this.#level = decision.level;
    if (decision.action === "end") {
      const completed = decision.state === "stopped";
      this.#move(decision.state, completed ? `completed: ${reason}` : reason);
      return;
    }
    this.restarts.set(kind, (this.restarts.get(kind) ?? 0) + 1);
    const heldMs = decision.stable ? 0 : this.#services.budget.take(performance.now());
    const delayMs = Math.max(decision.delayMs, heldMs);
    this.#move(
      decision.crashloop ? "crashloop" : "backoff",
      delayMs === 0 ? reason : `${reason}, next start in ${Math.round(delayMs)} ms`,
    );
    const launch = (): void => {
      const waits = this.#state === "backoff" || this.#state === "crashloop";
      if (waits) this.#launch(`restarted: ${reason}`);
    };
    const takeTurn = (): void => this.#services.turns.add(launch);
    if (delayMs === 0) takeTurn();
    else this.#timer = setTimeout(takeTurn, delayMs);
  }

  async #stop(reason: string): Promise<void> {
    if (this.#recycling !== undefined) await this.#recycling;
    else if (isAlive(this.#state)) await this.#descend(reason);
    clearTimeout(this.#timer);
    if (this.#state !== "stopped") this.#move("stopped", reason);
    await this.log.close();
  }

  /** Runs the stop ladder; leaves the state at `stopping`. */
  async #descend(reason: string): Promise<void> {
    const run = this.#run;
    if (!isEnding(this.#state)) this.#move("draining", reason);
    this.#health?.stop();
    clearTimeout(this.#readyTimer);
    if (run !== undefined) {
      const { stop } = this.spec.options;
      const outcome = await stopRun(run, {
        signal: stop.signal,
        timeoutMs: stop.timeoutMs,
        preStop: stop.preStop,
        plan: this.#plan,
        drained: this.#speaksDrain ? this.#drained : undefined,
        force: this.#force.signal,
        extensionMs: () => this.#extensionMs,
        onStopping: () => {
          if (this.#state === "draining") this.#move("stopping", reason);
        },
      });
      this.#services.reports.onStopped(this.spec.name, this.id, outcome.durationMs, outcome.killed);
    }
    if (this.#state === "draining") this.#move("stopping", reason);
  }

  #move(to: InstanceState, reason: string): void {
    const from = this.#state;
    if (!canMove(from, to)) {
      throw new MillraceError("ILLEGAL_STATE", `${this.id} cannot go from ${from} to ${to}`);
    }
    this.#state = to;
    this.#reason = reason;
    if (to !== "ready" && to !== "unhealthy") this.readyAtMs = undefined;
    for (const wake of this.#settledWaiters) wake();
    this.#services.reports.onChange({
      process: this.spec.name,
      instance: this.id,
      number: this.number,
      generation: this.spec.generation,
      pid: this.pid,
      from,
      to,
      reason,
    });
  }
}
