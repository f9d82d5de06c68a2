import type { SupervisorHost } from "../host/supervisor-host.ts";
import type { ResolvedHook } from "../options/hook-options.ts";
import type { OutputLog } from "../logs/output-log.ts";
import { RUN_ID_VARIABLE } from "../orphans/stray-finder.ts";
import { ChildLink } from "./child-link.ts";
import { type HookRun, runHooks } from "./hooks.ts";
import type { Variables } from "./interpolate.ts";
import type { LaunchPlan } from "./launch-plan.ts";
import type { ProcessSpec } from "./process-spec.ts";
import type { Exit } from "./restart-policy.ts";
import { RunHealth, type RunHealthListeners } from "./run-health.ts";
import type { Run } from "./run.ts";
import { type StopOutcome, stopRun } from "./stop-ladder.ts";

/** Whose session it is. */
export interface SessionOwner {
  spec: ProcessSpec;
  instance: string;
  log: OutputLog;
  host: SupervisorHost;
  variables(): Variables;
}

/** What a session reports while it lasts. */
export interface SessionListeners extends RunHealthListeners {
  onSpawned(pid: number): void;
  onExit(exit: Exit, uptimeMs: number): void;
  onHook(run: HookRun): void;
}

/** One start of an instance with everything that goes with it: hooks, process, probes and stop. */
export class RunSession {
  readonly #plan: LaunchPlan;
  readonly #owner: SessionOwner;
  readonly #listeners: SessionListeners;
  readonly #link: ChildLink;
  readonly #giveUp = new AbortController();
  #preparing: Promise<void> | undefined;
  #run: Run | undefined;
  #health: RunHealth | undefined;

  constructor(plan: LaunchPlan, owner: SessionOwner, listeners: SessionListeners) {
    this.#plan = plan;
    this.#owner = owner;
    this.#listeners = listeners;
    // All extensions of a deadline together are worth as much as the deadline itself.
    this.#link = new ChildLink(owner.spec.options.stop.timeoutMs, owner.host.clock);
  }

  get run(): Run | undefined {
    return this.#run;
  }

  get link(): Pick<ChildLink, "busy" | "eventLoopUtilisation"> {
    return this.#link;
  }

  get pid(): number | undefined {
    return this.#run?.hasEnded === false ? this.#run.pid : undefined;
  }

  get uptimeMs(): number {
    if (this.#run === undefined || this.#run.hasEnded) return 0;
    return this.#owner.host.clock.monotonicMs() - this.#run.startedMonotonicMs;
  }

  /** Starts the process, behind `cleanup` and the `preStart` hooks where there are any. */
  start(cleanup: Promise<void> | undefined, onFailed: (error: unknown) => void): void {
    if (cleanup === undefined && this.#plan.hooks.preStart.length === 0) this.#spawn();
    else this.#preparing = this.#prepare(cleanup, onFailed);
  }

  adopt(makeRun: (onExit: (exit: Exit) => void) => Run): void {
    const run = makeRun((exit) => this.#onExit(run, exit));
    this.#watch(run);
    this.#onSpawned(run);
  }

  /** Stops what runs of it, `postStop` included; `undefined` when nothing had been started yet. */
  async stop(force: AbortSignal, onStopping: () => void): Promise<StopOutcome | undefined> {
    this.#health?.stop();
    this.#giveUp.abort();
    await this.#preparing;
    const run = this.#run;
    if (run === undefined) return undefined;
    const { stop } = this.#owner.spec.options;
    const outcome = await stopRun(run, {
      signal: stop.signal,
      timeoutMs: stop.timeoutMs,
      preStop: this.#plan.preStop,
      plan: this.#plan,
      drained: this.#link.drained,
      force,
      extensionMs: () => this.#link.extensionMs,
      onStopping,
      host: this.#owner.host,
    });
    await this.afterStop(await run.exited);
    return outcome;
  }

  /** Runs `postStart`; rejects when one of them fails that must not. */
  afterReady(): Promise<void> | undefined {
    const { postStart } = this.#plan.hooks;
    return postStart.length === 0
      ? undefined
      : this.#runHooks("postStart", postStart, {}, this.#giveUp.signal);
  }

  /** Runs `postStop`, which nothing cuts short but its own timeouts. */
  afterStop(exit: Exit): Promise<void> | undefined {
    const { postStop } = this.#plan.hooks;
    if (postStop.length === 0) return undefined;
    const never = new AbortController();
    return this.#runHooks("postStop", postStop, exitVariables(exit), never.signal).catch(() => {});
  }

  async #prepare(
    cleanup: Promise<void> | undefined,
    onFailed: (error: unknown) => void,
  ): Promise<void> {
    const { signal } = this.#giveUp;
    try {
      await cleanup;
      await this.#runHooks("preStart", this.#plan.hooks.preStart, {}, signal);
      if (!signal.aborted) this.#spawn();
    } catch (error) {
      if (!signal.aborted) onFailed(error);
    }
  }

  #spawn(): void {
    const { log, host } = this.#owner;
    log.useFile(this.#plan.logFile);
    const run: Run = host.launch(this.#plan, {
      onSpawned: () => this.#onSpawned(run),
      onExit: (exit) => this.#onExit(run, exit),
      onMessage: (message) => {
        if (this.#link.receive(message)) this.#health?.hurry();
      },
      onOutput: (stream, chunk) => log.push(stream, chunk),
      onOutputEnd: (stream) => log.end(stream),
    });
    this.#watch(run);
  }

  #watch(run: Run): void {
    this.#run = run;
    const { spec, log, host } = this.#owner;
    this.#health = new RunHealth(spec.options, run, log.ring, this.#listeners, host);
  }

  #onSpawned(run: Run): void {
    if (run.pid !== undefined) this.#listeners.onSpawned(run.pid);
    const owner = this.#owner;
    this.#health?.start({
      // A copy of the whole environment, which most instances have no probe to use.
      get variables() {
        return owner.variables();
      },
      context: this.#plan,
      signals: this.#link.signals,
      startedAtMs: run.startedAtMs,
      host: owner.host,
    });
  }

  #onExit(run: Run, exit: Exit): void {
    this.#health?.stop();
    // What was to follow its start has nothing left to follow.
    this.#giveUp.abort();
    const uptimeMs = this.#owner.host.clock.monotonicMs() - run.startedMonotonicMs;
    this.#listeners.onExit(exit, uptimeMs);
  }

  #runHooks(
    stage: "preStart" | "postStart" | "postStop",
    hooks: readonly ResolvedHook[],
    extra: Record<string, string>,
    signal: AbortSignal,
  ): Promise<void> {
    const owner = {
      process: this.#owner.spec.name,
      instance: this.#owner.instance,
      // What a hook leaves running isn't the run's: it may be there to outlive it.
      place: { ...this.#plan, env: { ...this.#plan.env, [RUN_ID_VARIABLE]: undefined, ...extra } },
      onHook: (run: HookRun) => this.#listeners.onHook(run),
      host: this.#owner.host,
    };
    return runHooks(stage, hooks, owner, signal);
  }
}

function exitVariables({ code, signal }: Exit): Record<string, string> {
  return {
    ...(code === null ? {} : { MILLRACE_EXIT_CODE: String(code) }),
    ...(signal === null ? {} : { MILLRACE_EXIT_SIGNAL: signal }),
  };
}
