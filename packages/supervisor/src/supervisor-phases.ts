import type { CloserStack, Logger, TypedEmitter } from "@millrace/core";
import type { ManagementApi } from "./api/management-api.ts";
import type { Autoscalers } from "./autoscale/autoscalers.ts";
import type { Fleet } from "./fleet.ts";
import { EventLoopHold } from "./host/event-loop-hold.ts";
import type { SupervisorHost } from "./host/supervisor-host.ts";
import type { LaunchContexts } from "./launch-contexts.ts";
import { launchAll, stopAll } from "./launch-order.ts";
import { ConnectionWatch } from "./listener/connection-watch.ts";
import { warnAboutReusePort } from "./listener/reuse-port.ts";
import type { MemoryWatch } from "./memory-watch.ts";
import type { HookStage } from "./options/hook-options.ts";
import type { ResolvedSupervisorOptions } from "./options/supervisor-options.ts";
import { fillHooks } from "./process/fill-hooks.ts";
import { type HookRun, runHooks } from "./process/hooks.ts";
import type { ReadyFile } from "./readiness.ts";
import type { Schedules } from "./schedules.ts";
import type { StateKeeper } from "./state/state-keeper.ts";
import type { SupervisorEvents } from "./supervisor-events.ts";
import type { SupervisorMetrics } from "./supervisor-metrics.ts";
import type { SupervisorReports } from "./supervisor-reports.ts";
import { OperationTracing } from "./tracing.ts";

/** What is started and stopped. */
export interface SupervisorParts {
  options: ResolvedSupervisorOptions;
  env: Record<string, string | undefined>;
  host: SupervisorHost;
  logger: Logger;
  events: TypedEmitter<SupervisorEvents>;
  reports: SupervisorReports;
  metrics: SupervisorMetrics;
  state: StateKeeper | undefined;
  contexts: LaunchContexts;
  fleet: Fleet;
  schedules: Schedules;
  memory: MemoryWatch;
  autoscalers: Autoscalers;
  api: ManagementApi;
  readyFile: ReadyFile | undefined;
  updateReadyFile(): void;
}

/** How a supervisor starts and ends: which part comes after which, and which goes before which. */
export class SupervisorPhases {
  readonly hold: EventLoopHold;
  readonly #parts: SupervisorParts;
  #connections: ConnectionWatch | undefined;
  #acceptsWork = true;
  /** Address of the management API, where it is served. */
  apiUrl: string | undefined;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    this.hold = new EventLoopHold(() => parts.host.holdEventLoop());
  }

  /** Whether what was asked for now would still be done. */
  get acceptsWork(): boolean {
    return this.#acceptsWork;
  }

  async open(closers: CloserStack, signal: AbortSignal): Promise<void> {
    const { options, host, logger, metrics, state, contexts, fleet, api } = this.#parts;
    this.hold.begin();
    closers.push(() => this.hold.close());
    metrics.open();
    closers.push(() => metrics.close());
    const tracing = await OperationTracing.open(this.#parts.events);
    closers.push(() => tracing?.close());
    host.guardian.start();
    closers.push(() => host.guardian.close());
    if (state !== undefined) {
      state.open(logger);
      closers.push(() => state.close());
    }
    warnAboutReusePort(fleet, logger);
    await this.#runHooks("preStart", signal);
    await contexts.openListeners(fleet.processes.values());
    closers.push(() => contexts.close());
    if (options.api !== undefined) {
      const server = await api.listen();
      this.apiUrl = server.url;
      closers.push(() => server.close());
    }
    // When the start fails half-way, what was started must not stay.
    closers.push(() => this.#stopEverything(AbortSignal.abort()));
    await this.#launch(signal);
    this.#watch(closers);
    await this.#runHooks("postStart", signal);
    this.hold.settle();
  }

  async drain(signal: AbortSignal): Promise<void> {
    this.hold.begin();
    this.#acceptsWork = false;
    await this.#runHooks("preStop", signal).catch(() => {});
    // What would start processes by itself goes first.
    this.#parts.schedules.stop();
    this.#connections?.stop();
    this.#parts.readyFile?.set(false);
    await this.#parts.autoscalers.close();
    await this.#stopEverything(signal);
    await this.#runHooks("postStop", signal).catch(() => {});
  }

  #launch(signal: AbortSignal): Promise<void> {
    const { options, env, host, state, fleet, reports } = this.#parts;
    state?.adopt(fleet, (process, instance, pid) =>
      reports.emit("instance:adopted", { process, instance, pid }),
    );
    return launchAll(fleet, {
      staysStopped: (process) => state?.staysStopped(process) === true,
      scaleOf: (process, configured) => state?.desired(process.name, configured),
      env,
      capacity: host.capacity,
      dependencyTimeoutMs: options.dependencyTimeoutMs,
      signal,
    });
  }

  #watch(closers: CloserStack): void {
    const { options, host, contexts, fleet, schedules, memory, autoscalers } = this.#parts;
    schedules.start();
    closers.push(() => schedules.stop());
    this.#parts.updateReadyFile();
    closers.push(() => this.#parts.readyFile?.set(false));
    const sampling = host.clock.setInterval(() => memory.sample(), options.sampleIntervalMs);
    closers.push(() => sampling.close());
    const connections = new ConnectionWatch(fleet, contexts.listeners, host.clock);
    this.#connections = connections;
    connections.start();
    closers.push(() => connections.stop());
    autoscalers.start();
    closers.push(() => autoscalers.close());
  }

  async #stopEverything(force: AbortSignal): Promise<void> {
    this.#acceptsWork = false;
    // A start that failed half-way comes here without having been drained.
    this.#parts.schedules.stop();
    await stopAll(this.#parts.fleet, force);
  }

  #runHooks(stage: HookStage, signal: AbortSignal): Promise<void> {
    const { options, env, host, reports } = this.#parts;
    const owner = {
      process: undefined,
      instance: undefined,
      place: { env, cwd: undefined, uid: undefined, gid: undefined },
      onHook: (run: HookRun) => reports.onHook(run),
      host,
    };
    return runHooks(stage, fillHooks(options.hooks[stage], env), owner, signal);
  }
}
