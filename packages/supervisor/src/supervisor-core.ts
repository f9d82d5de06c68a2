import {
  defaultLogger,
  defaultMetrics,
  Lifecycle,
  type Logger,
  TypedEmitter,
} from "@millrace/core";
import { ManagementApi } from "./api/management-api.ts";
import { Autoscalers } from "./autoscale/autoscalers.ts";
import type { AutoscaleDecision } from "./autoscale/decision.ts";
import { essentialFailure, isAllOver } from "./end-conditions.ts";
import { EventJournal } from "./event-journal.ts";
import { Fleet } from "./fleet.ts";
import { timeoutSignal } from "./host/clock.ts";
import type { SupervisorHost } from "./host/supervisor-host.ts";
import { LaunchContexts } from "./launch-contexts.ts";
import { MemoryWatch } from "./memory-watch.ts";
import type { ProcessPatch } from "./options/merge-process-options.ts";
import type { HostCapacity } from "./cgroup/host-capacity.ts";
import { parseSupervisorOptions } from "./options/parse-supervisor-options.ts";
import type { ResolvedSupervisorOptions, SupervisorOptions } from "./options/supervisor-options.ts";
import { instanceVariables, planLaunch } from "./process/launch-plan.ts";
import { LaunchTurns } from "./process/launch-turns.ts";
import type { InstanceServices } from "./process/instance-services.ts";
import type { ProcessSpec } from "./process/process-spec.ts";
import { ReadyFile } from "./readiness.ts";
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
import { SupervisorPhases } from "./supervisor-phases.ts";
import { SupervisorViews } from "./supervisor-views.ts";

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
  readonly views: SupervisorViews;
  readonly phases: SupervisorPhases;
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
  readonly #readyFile: ReadyFile | undefined;
  readonly #readyWait: ReadyWait;

  constructor(input: SupervisorOptions, host: SupervisorHost) {
    const { clock } = host;
    this.#host = host;
    this.capacity = host.capacity;
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
    this.views = new SupervisorViews({
      fleet: this.fleet,
      journal: this.journal,
      schedules: this.schedules,
      readyProcesses: this.options.ready.processes,
      state: () => this.lifecycle.state,
      usage: (instance) => this.#memory.usage(instance),
      decisions: () => this.decisions(),
    });
    this.#api = new ManagementApi(this, this.options.api);
    this.phases = new SupervisorPhases({
      options: this.options,
      env: this.env,
      host,
      logger: this.logger,
      events: this.events,
      reports: this.#reports,
      metrics: this.#metrics,
      state: this.#state,
      contexts: this.#contexts,
      fleet: this.fleet,
      schedules: this.schedules,
      memory: this.#memory,
      autoscalers: this.#autoscalers,
      api: this.#api,
      readyFile: this.#readyFile,
      updateReadyFile: () => this.#updateReadyFile(),
    });
    this.lifecycle = new Lifecycle({
      name: "supervisor",
      setTimeout: (callback, delayMs) => clock.setTimeout(callback, delayMs),
      open: (closers, signal) => this.phases.open(closers, signal),
      drain: (signal) => this.phases.drain(signal),
    });
  }

  /** Whether it may still be told to change something: not once it stops, whatever its state. */
  get acceptsWork(): boolean {
    const { state } = this.lifecycle;
    return this.phases.acceptsWork && (state === "running" || state === "starting");
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

  #updateReadyFile(): void {
    if (this.#readyFile === undefined) return;
    this.#readyFile.set(this.views.readiness().ready);
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
    await this.phases.drain(signal);
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
