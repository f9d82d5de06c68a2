import { messageOf } from "@millrace/core";
import { OutputLog } from "../logs/output-log.ts";
import type { RestartReason } from "../supervisor-events.ts";
import { endStrays, NO_PATIENCE } from "./end-strays.ts";
import type { InstanceServices } from "./instance-services.ts";
import { type InstanceState, isAlive, isEnding, isWaiting } from "./instance-state.ts";
import { instanceId, type LaunchPlan } from "./launch-plan.ts";
import type { ProcessSpec } from "./process-spec.ts";
import { RestartControl } from "./restart-control.ts";
import { describeExit, type Exit } from "./restart-policy.ts";
import type { Run } from "./run.ts";
import { RunSession } from "./run-session.ts";
import { StateTrack } from "./state-track.ts";

/** One copy of a process: runs it, restarts it, watches it, stops it. */
export class Instance {
  readonly id: string;
  readonly number: number;
  readonly spec: ProcessSpec;
  readonly log: OutputLog;
  readonly restarts: RestartControl;
  readonly track: StateTrack;
  readonly #services: InstanceServices;
  #force = new AbortController();
  #session: RunSession | undefined;
  #stopping: Promise<void> | undefined;
  #recycling: Promise<void> | undefined;
  /** `postStop` of a run that ended by itself. */
  #cleanup: Promise<void> | undefined;
  readonly #sweeps = new Set<Promise<unknown>>();
  startupMs: number | undefined;
  readyAtMs: number | undefined;
  lastExit: Exit | undefined;

  constructor(spec: ProcessSpec, number: number, services: InstanceServices) {
    this.spec = spec;
    this.number = number;
    this.id = instanceId(spec.name, number);
    this.#services = services;
    this.restarts = new RestartControl(spec, services);
    const { clock } = services.host;
    this.track = new StateTrack(this.id, clock, (from, to, reason) =>
      this.#onMove(from, to, reason),
    );
    this.log = new OutputLog(spec.options.logs, {
      process: spec.name,
      instance: this.id,
      logger: services.logger,
      clock,
      onLine: (entry) => services.reports.onLine(entry),
    });
  }

  get state(): InstanceState {
    return this.track.state;
  }

  get reason(): string {
    return this.track.reason;
  }

  get pid(): number | undefined {
    return this.#session?.pid;
  }

  get run(): Run | undefined {
    return this.#session?.run;
  }

  /** Jobs in hand, as the child last reported. */
  get busy(): number | undefined {
    return this.#session?.link.busy;
  }

  /** Event-loop utilisation, as the child last reported. */
  get eventLoopUtilisation(): number | undefined {
    return this.#session?.link.eventLoopUtilisation;
  }

  get uptimeMs(): number {
    return this.#session?.uptimeMs ?? 0;
  }

  /** Whether it runs or will run again unless somebody stops it. */
  get isActive(): boolean {
    if (this.#stopping !== undefined) return false;
    if (isEnding(this.state)) return this.#recycling !== undefined;
    return isAlive(this.state) || isWaiting(this.state);
  }

  /** Starts it, unless it runs already or is about to. */
  start(reason: string): void {
    if (this.isActive || isAlive(this.state)) return;
    this.restarts.forgive();
    this.#launch(reason);
  }

  /** Takes over a process that an earlier supervisor left running. */
  adopt(makeRun: (onExit: (exit: Exit) => void) => Run): void {
    this.track.move("starting", "adopted");
    this.#newSession(this.#services.plan(this.spec, this.number)).adopt(makeRun);
  }

  /** Stops it for good; resolves when nothing of it is left. */
  stop(reason: string): Promise<void> {
    this.restarts.cancel();
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
    if (this.#stopping !== undefined || !isAlive(this.state) || isEnding(this.state)) return;
    const { uptimeMs } = this;
    this.#recycling = this.#descend(reason);
    await this.#recycling;
    this.#recycling = undefined;
    // Somebody has decided meanwhile that it must not come back.
    if (this.#stopping !== undefined) return;
    this.#afterExit({ code: null, signal: "SIGTERM" }, uptimeMs, reason, kind);
  }

  /** @throws `SUPERVISOR_INSTANCE_FAILED` when it crashes, fails or stops first */
  whenReady(signal: AbortSignal): Promise<void> {
    return this.track.whenReady(signal, () => this.restarts.total);
  }

  /** Waits until it has ended for good and says how; `signal` only ends the waiting. */
  whenEnded(signal: AbortSignal): Promise<InstanceState> {
    return this.track.whenEnded(signal);
  }

  #launch(reason: string): void {
    this.track.move("starting", reason);
    this.#session = undefined;
    if (this.#force.signal.aborted) this.#force = new AbortController();
    try {
      const session = this.#newSession(this.#services.plan(this.spec, this.number));
      session.start(this.#cleanup, (error) => this.#onStartFailed(error));
    } catch (error) {
      this.#onStartFailed(error);
    }
  }

  #newSession(plan: LaunchPlan): RunSession {
    const { reports } = this.#services;
    const owner = {
      spec: this.spec,
      instance: this.id,
      log: this.log,
      host: this.#services.host,
      variables: () => this.#services.variables(this.spec, this.number),
    };
    const session: RunSession = new RunSession(plan, owner, {
      onSpawned: (pid) => reports.onSpawned(pid),
      onHook: (run) => reports.onHook(run),
      onStackCaptured: (frames) => reports.onStackCaptured(this.id, frames),
      onReady: (reason) => this.#onReady(session, reason),
      onUnready: (reason) => {
        if (this.state === "ready") this.track.move("unhealthy", reason);
      },
      onReadyTimeout: (reason) => {
        if (this.state === "starting") void this.recycle(reason, "health");
      },
      onDead: (reason, isHung) => {
        if (isHung) this.kill();
        void this.recycle(reason, "health");
      },
      onExit: (exit, uptimeMs) => this.#onExit(session, exit, uptimeMs),
    });
    this.#session = session;
    return session;
  }

  #onStartFailed(error: unknown): void {
    const exit: Exit = { code: null, signal: null, spawnError: messageOf(error) };
    this.lastExit = exit;
    this.#afterExit(exit, 0, describeExit(exit), "spawn-error");
  }

  #onReady(session: RunSession, reason: string): void {
    if (this.state === "unhealthy") this.track.move("ready", reason);
    if (this.state !== "starting") return;
    this.startupMs = this.uptimeMs;
    this.readyAtMs = this.#services.host.clock.now();
    this.track.move("ready", reason);
    session.afterReady()?.catch((error: unknown) => {
      if (this.#session === session) void this.recycle(messageOf(error), "health");
    });
  }

  #onExit(session: RunSession, exit: Exit, uptimeMs: number): void {
    if (this.#session !== session) return;
    this.lastExit = exit;
    const { code, signal, spawnError } = exit;
    const { pid } = session.run ?? {};
    const end = { ...this.#identity(), pid, code, signal, spawnError, uptimeMs };
    this.#services.reports.onExit(end);
    if (isEnding(this.state)) return;
    // What a crashed leader leaves behind in its group would double the work of its successor.
    session.run?.signal("SIGKILL");
    if (session.run?.pid !== undefined) this.#sweep(session.run);
    this.#cleanup = session.afterStop(exit)?.finally(() => {
      this.#cleanup = undefined;
    });
    const kind = spawnError === undefined ? (code === 0 ? "exit" : "crash") : "spawn-error";
    this.#afterExit(exit, uptimeMs, describeExit(exit), kind);
  }

  #afterExit(exit: Exit, uptimeMs: number, reason: string, kind: RestartReason): void {
    const aftermath = this.restarts.judge(exit, uptimeMs, kind);
    if (aftermath.action === "end") {
      const completed = aftermath.state === "stopped";
      this.track.move(aftermath.state, completed ? `completed: ${reason}` : reason);
      return;
    }
    const { state, delayMs } = aftermath;
    const wait = delayMs === 0 ? "" : `, next start in ${Math.round(delayMs)} ms`;
    this.track.move(state, reason + wait);
    this.restarts.schedule(delayMs, () => {
      if (isWaiting(this.state)) this.#launch(`restarted: ${reason}`);
    });
  }

  async #stop(reason: string): Promise<void> {
    if (this.#recycling !== undefined) await this.#recycling;
    else if (isAlive(this.state)) await this.#descend(reason);
    this.restarts.cancel();
    await this.#cleanup;
    await Promise.all(this.#sweeps);
    if (this.state !== "stopped") this.track.move("stopped", reason);
    await this.log.close();
  }

  /** Stops the session; leaves the state at `stopping`. */
  async #descend(reason: string): Promise<void> {
    if (!isEnding(this.state)) this.track.move("draining", reason);
    const onStopping = (): void => {
      if (this.state === "draining") this.track.move("stopping", reason);
    };
    const outcome = await this.#session?.stop(this.#force.signal, onStopping);
    if (outcome !== undefined) {
      const { durationMs, killed } = outcome;
      this.#services.reports.onStopped(this.spec.name, this.id, durationMs, killed);
    }
    onStopping();
  }

  /** Kills what a run that ended by itself has left outside its group; its successor doesn't wait. */
  #sweep(run: Run): void {
    const sweep = endStrays(run, this.#services.host, "SIGKILL", NO_PATIENCE).finally(() =>
      this.#sweeps.delete(sweep),
    );
    this.#sweeps.add(sweep);
  }

  #identity(): { process: string; instance: string; number: number; generation: number } {
    const { name: process, generation } = this.spec;
    return { process, instance: this.id, number: this.number, generation };
  }

  #onMove(from: InstanceState, to: InstanceState, reason: string): void {
    if (to !== "ready" && to !== "unhealthy") this.readyAtMs = undefined;
    this.#services.reports.onChange({ ...this.#identity(), pid: this.pid, from, to, reason });
  }
}
