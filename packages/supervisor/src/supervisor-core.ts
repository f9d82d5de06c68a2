import {
  type CloserStack,
  defaultLogger,
  defaultMetrics,
  type Health,
  Lifecycle,
  type Logger,
  TypedEmitter,
} from "@millrace/core";
import { ManagementApi } from "./api/management-api.ts";
import { Autoscalers } from "./autoscale/autoscalers.ts";
import type { AutoscaleDecision } from "./autoscale/decision.ts";
import { ConnectionWatch } from "./listener/connection-watch.ts";
import { warnAboutReusePort } from "./listener/reuse-port.ts";
import { essentialFailure, isAllOver } from "./end-conditions.ts";
import { EventJournal } from "./event-journal.ts";
import { type Explanation, explainInstance, explainProcess } from "./explain.ts";
import { Fleet } from "./fleet.ts";
import { timeoutSignal } from "./host/clock.ts";
import { EventLoopHold } from "./host/event-loop-hold.ts";
import type { SupervisorHost } from "./host/supervisor-host.ts";
import { launchAll, stopAll } from "./launch-order.ts";
import { LaunchContexts } from "./launch-contexts.ts";
import type { LogEntry } from "./logs/log-ring.ts";
import { MemoryWatch } from "./memory-watch.ts";
import type { HookStage } from "./options/hook-options.ts";
import type { ProcessPatch } from "./options/merge-process-options.ts";
import type { HostCapacity } from "./cgroup/host-capacity.ts";
import { parseSupervisorOptions } from "./options/parse-supervisor-options.ts";
import type { ResolvedSupervisorOptions, SupervisorOptions } from "./options/supervisor-options.ts";
import { instanceVariables, planLaunch } from "./process/launch-plan.ts";
import { LaunchTurns } from "./process/launch-turns.ts";
import { fillHooks } from "./process/fill-hooks.ts";
import { type HookRun, runHooks } from "./process/hooks.ts";
import type { InstanceServices } from "./process/instance-services.ts";
import type { ProcessSpec } from "./process/process-spec.ts";
import { type Readiness, ReadyFile, readReadiness } from "./readiness.ts";
import { ReadyWait } from "./ready-wait.ts";
import { RunHistory } from "./run-history.ts";
import { RestartBudget } from "./process/restart-budget.ts";
import { RestartWave } from "./process/restart-wave.ts";
import { startCanary } from "./scaling/canary.ts";
import type { CanaryOptions } from "./scaling/canary-options.ts";
import type { Operation } from "./scaling/operation.ts";
import { Schedules } from "./schedules.ts";
import { StartupTimes } from "./startup-times.ts";
import { StateKeeper } from "./state/state-keeper.ts";
import { type InstanceChange, type SupervisorEvents } from "./supervisor-events.ts";
import { SupervisorMetrics } from "./supervisor-metrics.ts";
import { SupervisorReports } from "./supervisor-reports.ts";
import { OperationTracing } from "./tracing.ts";
import { describeProcess, type ProcessStatus } from "./supervisor-status.ts";

const JOURNAL_CAPACITY = 1_000;
const ESSENTIAL_GRACE_MS = 10_000;

/** What a supervisor is made of, put together. */
export class SupervisorCore {
  readonly options: ResolvedSupervisorOptions;
  readonly env: Record<string, string | undefined>;
  readonly lifecycle: Lifecycle;
  readonly events: TypedEmitter<SupervisorEvents>;
  readonly journal: EventJournal;
  readonly fleet: Fleet;
  readonly schedules: Schedules;
  readonly runs: RunHistory;
  readonly logger: Logger;
  readonly capacity: HostCapacity;
  readonly hold: EventLoopHold;
  readonly #host: SupervisorHost;
  readonly #contexts: LaunchContexts;
  readonly #memory: MemoryWatch;
  readonly #reports: SupervisorReports;
  readonly #metrics: SupervisorMetrics;
  readonly #startups = new StartupTimes();
  readonly #turns: LaunchTurns;
  readonly #autoscalers: Autoscalers;
  readonly #state: StateKeeper | undefined;
  readonly #api: ManagementApi;
  /** Stops what would start processes by itself. */
  #closeFirst: () => void = () => {};
  readonly #readyFile: ReadyFile | undefined;
  readonly #readyWait: ReadyWait;
  apiUrl: string | undefined;
  #acceptsWork = true;

  constructor(input: SupervisorOptions, host: SupervisorHost) {
    const { clock } = host;
    this.#host = host;
    this.capacity = host.capacity;
    this.hold = new EventLoopHold(() => host.holdEventLoop());
    this.journal = new EventJournal(JOURNAL_CAPACITY, clock);
    this.runs = new RunHistory(clock);
    this.#turns = new LaunchTurns(clock);
    this.env = { ...(input.env ?? process.env) };
    this.options = parseSupervisorOptions(input, this.env, this.capacity);
    this.logger = this.options.logger ?? defaultLogger();
    this.events = new TypedEmitter((error, event) =>
      this.logger.error({ err: error, event }, "a supervisor listener threw"),
    );
    const specs = Object.entries(this.options.processes).map(([name, options]): ProcessSpec => ({
      name,
      generation: 1,
      options,
    }));
    this.#state =
      this.options.state === undefined
        ? undefined
        : new StateKeeper(this.options.state.file, clock);
    this.#contexts = new LaunchContexts({
      env: this.env,
      ...this.capacity,
      guardId: host.guardian.id,
      stateId: this.#state?.id,
    });
    this.#reports = new SupervisorReports({
      journal: this.journal,
      events: this.events,
      logger: this.logger,
      guardian: host.guardian,
      runs: this.runs,
      metrics: () => this.#metrics,
      onChanged: (change) => this.#onInstanceChange(change),
      onScaled: () => this.#updateReadyFile(),
      onSave: () => this.#state?.save(),
    });
    this.fleet = new Fleet(
      specs,
      (spec) => this.#services(spec),
      this.#reports,
      this.options.maxInstances,
    );
    this.#readyWait = new ReadyWait(this.fleet, clock);
    this.schedules = new Schedules(this.fleet, host, this.logger, (run) => {
      this.#reports.emit("schedule:ran", run);
      this.#state?.save();
    });
    const { file, content } = this.options.ready;
    this.#readyFile = file === undefined ? undefined : new ReadyFile(file, content, this.logger);
    this.#memory = new MemoryWatch(this.fleet, host, (...exceeded) =>
      this.#reports.onMemoryExceeded(...exceeded),
    );
    this.#autoscalers = new Autoscalers(this.fleet, {
      logger: this.logger,
      usage: (instance) => this.#memory.usage(instance),
      startupMs: (name) => this.#startups.medianMs(name),
      onDecision: (decision) => this.#reports.emit("autoscale:decided", decision),
    });
    this.#metrics = new SupervisorMetrics(
      this.options.metrics ?? defaultMetrics,
      this.options.metricsPrefix,
      {
        fleet: this.fleet,
        usage: (instance) => this.#memory.usage(instance),
        opinions: () => this.#autoscalers.opinions(),
      },
    );
    this.#api = new ManagementApi(this, this.options.api);
    this.lifecycle = new Lifecycle({
      name: "supervisor",
      setTimeout: (callback, delayMs) => clock.setTimeout(callback, delayMs),
      open: (closers, signal) => this.#open(closers, signal),
      drain: (signal) => this.#drain(signal),
    });
  }

  /** Whether it may still be told to change something: not once it stops, whatever its state. */
  get acceptsWork(): boolean {
    const { state } = this.lifecycle;
    return this.#acceptsWork && (state === "running" || state === "starting");
  }

  statuses(): ProcessStatus[] {
    return [...this.fleet.processes.keys()].map((name) => this.statusOf(name));
  }

  statusOf(name: string): ProcessStatus {
    return describeProcess(this.fleet.process(name), (instance) => this.#memory.usage(instance));
  }

  health(): Health {
    const sick = this.statuses().filter(({ state }) => state === "degraded" || state === "failed");
    if (sick.length === 0) return { healthy: true };
    return {
      healthy: false,
      reason: sick.map(({ name, state }) => `${name} is ${state}`).join("; "),
    };
  }

  rollout(name: string, patch?: ProcessPatch): Operation {
    return this.#timed(name, this.fleet.rollout(name, patch));
  }

  rollback(name: string): Operation {
    return this.#timed(name, this.fleet.rollback(name));
  }

  canary(name: string, options: CanaryOptions): Operation {
    return startCanary(this.fleet, name, options, (status) =>
      this.#reports.emit("canary:changed", status),
    );
  }

  readiness(): Readiness {
    const isUp = this.lifecycle.state === "running" || this.lifecycle.state === "starting";
    if (!isUp) return { ready: false, waitingFor: [`the supervisor is ${this.lifecycle.state}`] };
    return readReadiness(this.fleet, this.options.ready.processes);
  }

  explain(name: string): Explanation {
    const { process, instance } = this.fleet.resolve(name);
    const sources = {
      operations: this.fleet.operationsOf(process.name),
      decision: this.decisions().findLast((decision) => decision.process === process.name),
      events: this.journal.since(0),
      schedule: this.schedules.find(process.name),
    };
    return instance === undefined
      ? explainProcess(process, sources)
      : explainInstance(process, instance, sources);
  }

  #updateReadyFile(): void {
    if (this.#readyFile === undefined) return;
    this.#readyFile.set(this.readiness().ready);
  }

  logs(name: string, limit = 100): LogEntry[] {
    const { process, instance } = this.fleet.resolve(name);
    const sources = instance === undefined ? process.all : [instance];
    return sources
      .flatMap((one) => one.log.ring.newest(limit))
      .toSorted((left, right) => (left.time < right.time ? -1 : Number(left.time > right.time)))
      .slice(-limit);
  }

  wake(name: string): Promise<void> {
    this.fleet.process(name);
    return this.#autoscalers.wake(name);
  }

  decisions(): AutoscaleDecision[] {
    return this.#autoscalers.decisions();
  }

  metricsText(): Promise<string> {
    return (this.options.metrics ?? defaultMetrics).metrics();
  }

  countRefusal(reason: string): void {
    this.#metrics.countApiRefusal(reason);
  }

  fetch(request: Request): Promise<Response> {
    return this.#api.fetch(request);
  }

  whenReady(name: string | undefined, timeoutMs: number): Promise<void> {
    const names = name === undefined ? [...this.fleet.processes.keys()] : [name];
    return this.#readyWait.until(names, timeoutMs);
  }

  async #open(closers: CloserStack, signal: AbortSignal): Promise<void> {
    this.hold.begin();
    closers.push(() => this.hold.close());
    this.#metrics.open();
    closers.push(() => this.#metrics.close());
    const tracing = await OperationTracing.open(this.events);
    closers.push(() => tracing?.close());
    this.#host.guardian.start();
    closers.push(() => this.#host.guardian.close());
    if (this.#state !== undefined) {
      this.#state.open(this.logger);
      closers.push(() => this.#state?.close());
    }
    warnAboutReusePort(this.fleet, this.logger);
    await this.#runHooks("preStart", signal);
    await this.#contexts.openListeners(this.fleet.processes.values());
    closers.push(() => this.#contexts.close());
    if (this.options.api !== undefined) {
      const server = await this.#api.listen();
      this.apiUrl = server.url;
      closers.push(() => server.close());
    }
    // When the start fails half-way, what was started must not stay.
    closers.push(() => this.#stopEverything(AbortSignal.abort()));
    this.#state?.adopt(this.fleet, (process, instance, pid) =>
      this.#reports.emit("instance:adopted", { process, instance, pid }),
    );
    await launchAll(this.fleet, {
      staysStopped: (process) => this.#state?.staysStopped(process) === true,
      scaleOf: (process, configured) => this.#state?.desired(process.name, configured),
      env: this.env,
      capacity: this.capacity,
      dependencyTimeoutMs: this.options.dependencyTimeoutMs,
      signal,
    });
    this.schedules.start();
    closers.push(() => this.schedules.stop());
    this.#updateReadyFile();
    closers.push(() => this.#readyFile?.set(false));
    const { clock } = this.#host;
    const sampling = clock.setInterval(() => this.#memory.sample(), this.options.sampleIntervalMs);
    closers.push(() => sampling.close());
    const connections = new ConnectionWatch(this.fleet, this.#contexts.listeners, clock);
    connections.start();
    closers.push(() => connections.stop());
    this.#closeFirst = () => connections.stop();
    this.#autoscalers.start();
    closers.push(() => this.#autoscalers.close());
    await this.#runHooks("postStart", signal);
    this.hold.settle();
  }

  #runHooks(stage: HookStage, signal: AbortSignal): Promise<void> {
    const place = { env: this.env, cwd: undefined, uid: undefined, gid: undefined };
    const owner = {
      process: undefined,
      instance: undefined,
      place,
      onHook: (run: HookRun) => this.#reports.onHook(run),
      host: this.#host,
    };
    return runHooks(stage, fillHooks(this.options.hooks[stage], this.env), owner, signal);
  }

  async #drain(signal: AbortSignal): Promise<void> {
    this.hold.begin();
    this.#acceptsWork = false;
    await this.#runHooks("preStop", signal).catch(() => {});
    this.schedules.stop();
    this.#closeFirst();
    this.#readyFile?.set(false);
    await this.#autoscalers.close();
    await this.#stopEverything(signal);
    await this.#runHooks("postStop", signal).catch(() => {});
  }

  async #stopEverything(force: AbortSignal): Promise<void> {
    this.#acceptsWork = false;
    // A start that failed half-way comes here without having been drained.
    this.schedules.stop();
    await stopAll(this.fleet, force);
  }

  #services(spec: ProcessSpec): InstanceServices {
    return {
      plan: (current, number) => planLaunch(current, number, this.#contexts.of(current)),
      variables: (current, number) =>
        instanceVariables(current, number, this.#contexts.of(current)),
      budget: new RestartBudget(spec.options.restartBudget),
      wave: new RestartWave(),
      siblings: () => this.fleet.process(spec.name).desired,
      turns: this.#turns,
      logger: this.logger,
      host: this.#host,
      reports: this.#reports,
    };
  }

  #onInstanceChange(change: InstanceChange): void {
    if (change.from === "starting" && change.to === "ready") {
      const instance = this.fleet
        .process(change.process)
        .all.find(
          ({ number, spec }) => number === change.number && spec.generation === change.generation,
        );
      if (instance?.startupMs !== undefined) this.#startups.add(change.process, instance.startupMs);
    }
    this.#updateReadyFile();
    this.#readyWait.look();
    this.#checkEnd(change);
  }

  #checkEnd(change: InstanceChange): void {
    if (this.lifecycle.state !== "running") return;
    const failure = essentialFailure(this.fleet, change);
    if (failure !== undefined) void this.#endWith(failure);
    else if (this.options.exitWhenAllStopped && isAllOver(this.fleet, change)) {
      void this.lifecycle.close();
    }
  }

  async #endWith(error: Error): Promise<void> {
    const { signal, timer } = timeoutSignal(this.#host.clock, ESSENTIAL_GRACE_MS);
    await this.#drain(signal);
    timer.close();
    await this.lifecycle.fail(error);
  }

  #timed(name: string, operation: Operation): Operation {
    const { clock } = this.#host;
    const startedAt = clock.monotonicMs();
    void operation.done.then(({ state }) =>
      this.#metrics.observeRollout(name, state, (clock.monotonicMs() - startedAt) / 1_000),
    );
    return operation;
  }
}
