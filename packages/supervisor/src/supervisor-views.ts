import type { ComponentState, Health } from "@millrace/core";
import type { AutoscaleDecision } from "./autoscale/decision.ts";
import type { EventJournal } from "./event-journal.ts";
import { type Explanation, explainInstance, explainProcess } from "./explain.ts";
import type { Fleet } from "./fleet.ts";
import type { LogEntry } from "./logs/log-ring.ts";
import type { Instance } from "./process/instance.ts";
import type { ResourceUsage } from "./process/resource-usage.ts";
import { type Readiness, readReadiness } from "./readiness.ts";
import type { Schedules } from "./schedules.ts";
import { describeProcess, type ProcessStatus } from "./supervisor-status.ts";

/** What the views look at. */
export interface ViewSources {
  fleet: Fleet;
  journal: EventJournal;
  schedules: Schedules;
  /** Names of what has to be ready; `undefined` for every service. */
  readyProcesses: readonly string[] | undefined;
  state(): ComponentState;
  usage(instance: Instance): ResourceUsage | undefined;
  decisions(): AutoscaleDecision[];
}

/** What a supervisor says of itself and its processes: looking changes nothing. */
export class SupervisorViews {
  readonly #sources: ViewSources;

  constructor(sources: ViewSources) {
    this.#sources = sources;
  }

  statuses(): ProcessStatus[] {
    return [...this.#sources.fleet.processes.keys()].map((name) => this.statusOf(name));
  }

  /** @throws `SUPERVISOR_PROCESS_UNKNOWN` */
  statusOf(name: string): ProcessStatus {
    const process = this.#sources.fleet.process(name);
    return describeProcess(process, (instance) => this.#sources.usage(instance));
  }

  health(): Health {
    const sick = this.statuses().filter(({ state }) => state === "degraded" || state === "failed");
    if (sick.length === 0) return { healthy: true };
    return {
      healthy: false,
      reason: sick.map(({ name, state }) => `${name} is ${state}`).join("; "),
    };
  }

  readiness(): Readiness {
    const state = this.#sources.state();
    const isUp = state === "running" || state === "starting";
    if (!isUp) return { ready: false, waitingFor: [`the supervisor is ${state}`] };
    return readReadiness(this.#sources.fleet, this.#sources.readyProcesses);
  }

  explain(name: string): Explanation {
    const { fleet, journal, schedules } = this.#sources;
    const { process, instance } = fleet.resolve(name);
    const sources = {
      operations: fleet.operationsOf(process.name),
      decision: this.#sources.decisions().findLast((decision) => decision.process === process.name),
      events: journal.since(0),
      schedule: schedules.find(process.name),
    };
    return instance === undefined
      ? explainProcess(process, sources)
      : explainInstance(process, instance, sources);
  }

  /** Newest lines of a process or an instance, oldest first. */
  logs(name: string, limit: number): LogEntry[] {
    const { process, instance } = this.#sources.fleet.resolve(name);
    const sources = instance === undefined ? process.all : [instance];
    return sources
      .flatMap((one) => one.log.ring.newest(limit))
      .toSorted((left, right) => (left.time < right.time ? -1 : Number(left.time > right.time)))
      .slice(-limit);
  }
}
