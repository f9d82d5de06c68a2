import {
  type CloseOptions,
  type Component,
  type Health,
  type Listener,
  MillraceError,
  type StartOptions,
} from "@millrace/core";
import type { AutoscaleDecision } from "./autoscale/decision.ts";
import type { SupervisorErrorCode } from "./errors.ts";
import type { JournalEntry } from "./event-journal.ts";
import type { Explanation } from "./explain.ts";
import type { ScaleTarget } from "./fleet.ts";
import type { SupervisorHost } from "./host/supervisor-host.ts";
import { createSystemHost } from "./host/system-host.ts";
import type { LogEntry } from "./logs/log-ring.ts";
import type { ProcessPatch } from "./options/merge-process-options.ts";
import type { SupervisorOptions } from "./options/supervisor-options.ts";
import type { CanaryOptions } from "./scaling/canary-options.ts";
import type { ScaleSteps } from "./scaling/managed-process.ts";
import type { Operation } from "./scaling/operation.ts";
import type { Readiness } from "./readiness.ts";
import type { EndedRun } from "./run-history.ts";
import type { ScheduledRun, ScheduleStatus } from "./scheduling/scheduled-run.ts";
import { SupervisorCore } from "./supervisor-core.ts";
import type { SupervisorEvents } from "./supervisor-events.ts";
import type { ProcessStatus } from "./supervisor-status.ts";

/** What a supervisor does right now. */
export interface SupervisorStatus {
  processes: ProcessStatus[];
  /** Instances that run or wait to run again. */
  instances: number;
  /** Address of the management API, where it is served. */
  apiUrl: string | undefined;
}

/** Runs, scales, rolls and drains N copies of each of its processes. */
export interface Supervisor extends Component {
  status(): SupervisorStatus;
  /** @throws `SUPERVISOR_PROCESS_UNKNOWN` */
  process(name: string): ProcessStatus;
  /**
   * Changes the number of instances; a newer call supersedes an older one. Those that stay keep
   * running.
   *
   * @throws `SUPERVISOR_PROCESS_UNKNOWN`, `SUPERVISOR_SCALE_OUT_OF_RANGE`, `SUPERVISOR_NOT_RUNNING`.
   */
  scale(process: string, target: ScaleTarget, steps?: ScaleSteps): Operation;
  /** Starts a process, or one instance as `queue-5`. */
  startProcess(name: string): Operation;
  /** Stops a process, or one instance, which then stays down. */
  stopProcess(name: string): Operation;
  /** Replaces the instances of a process one after the other, or restarts one instance. */
  restart(name: string): Operation;
  /** Rolls out a new generation with other options; rolls back by itself when it doesn't get ready. */
  rollout(process: string, patch?: ProcessPatch): Operation;
  /** Rolls out the generation before. */
  rollback(process: string): Operation;
  /** Tries a variant beside the stable one, then promotes or aborts it. */
  canary(process: string, options: CanaryOptions): Operation;
  /** @throws `SUPERVISOR_OPERATION_UNKNOWN` */
  operation(id: string): Operation;
  /** Says in words why a process, or one instance as `queue-5`, is as it is, with what led there. */
  explain(name: string): Explanation;
  /** Schedules with their next runs. */
  schedules(): ScheduleStatus[];
  /**
   * Runs a scheduled process now, by its overlap policy.
   *
   * @throws `SUPERVISOR_PROCESS_UNKNOWN`, `SUPERVISOR_NOT_SCHEDULED`
   */
  triggerSchedule(process: string): ScheduledRun;
  /** Lets a schedule fire no more until it is resumed. @throws `SUPERVISOR_NOT_SCHEDULED` */
  pauseSchedule(process: string): void;
  /** @throws `SUPERVISOR_NOT_SCHEDULED` */
  resumeSchedule(process: string): void;
  /** The newest 100 runs of a schedule, oldest first. @throws `SUPERVISOR_NOT_SCHEDULED` */
  scheduleHistory(process: string): readonly ScheduledRun[];
  /** How the newest 100 runs of a process ended, oldest first. */
  runs(process: string): readonly EndedRun[];
  /** Whether what the option `ready` names is ready. */
  readiness(): Readiness;
  /** Newest lines of a process or an instance, oldest first. @default limit 100 */
  logs(name: string, limit?: number): LogEntry[];
  /** Makes the autoscaler of a process decide now: work has come. */
  wake(process: string): Promise<void>;
  /** Newest decisions of all autoscalers. */
  decisions(): AutoscaleDecision[];
  /** Waits until every instance of a process, or of all, is ready. @default timeoutMs 30_000 */
  whenReady(process?: string, options?: { timeoutMs?: number | undefined }): Promise<void>;
  /** The management API as a fetch handler, for a server of your own; by the same tokens and limits. */
  fetch(request: Request): Promise<Response>;
  /**
   * The events as a stream, those that `after` names by their id and later ones first, as far as the
   * newest 1,000 reach. Ends with the supervisor, or with `signal`.
   *
   * @example
   * ```ts
   * import type { Supervisor } from "@millrace/supervisor";
   *
   * declare const supervisor: Supervisor;
   * for await (const { id, event, payload } of supervisor.events()) console.log(id, event, payload);
   * ```
   */
  events(options?: {
    after?: number | undefined;
    signal?: AbortSignal | undefined;
  }): AsyncGenerator<JournalEntry>;
  /**
   * Lets the program end although the supervisor runs. It ends as if the supervisor had been killed:
   * nothing is drained, and `onSupervisorDeath` decides about each child. A start or a `close` that
   * is under way is still finished. Whoever waits for an operation calls `ref` first.
   */
  unref(): void;
  /** Keeps the program alive until the supervisor has ended, as it does from the start. */
  ref(): void;
  on<Name extends keyof SupervisorEvents>(
    event: Name,
    listener: Listener<SupervisorEvents[Name]>,
  ): () => void;
}

/**
 * Creates a supervisor; nothing runs before `start`.
 *
 * @throws `CONFIG_INVALID`, naming everything that is wrong at once. `start` throws
 * `SUPERVISOR_LISTEN_FAILED`, `SUPERVISOR_API_LISTEN_FAILED`, `SUPERVISOR_DEPENDENCY_UNMET` or
 * `SUPERVISOR_STATE_LOCKED`, `SUPERVISOR_STATE_NOT_WRITABLE`.
 * @example
 * ```ts
 * import { createSupervisor } from "@millrace/supervisor";
 *
 * const supervisor = createSupervisor({
 *   processes: { worker: { command: ["node", "worker.js", "--id=${INSTANCE_NUMBER}"], scale: 3 } },
 * });
 * await supervisor.start();
 * await supervisor.scale("worker", 10).done;
 * await supervisor.close();
 * ```
 */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  return createSupervisorOn(createSystemHost(), options);
}

/** Creates a supervisor on a host that may be made up. */
export function createSupervisorOn(host: SupervisorHost, options: SupervisorOptions): Supervisor {
  const core = new SupervisorCore(options, host);
  const running = (): SupervisorCore => {
    if (core.acceptsWork) return core;
    const { state } = core.lifecycle;
    const isEnding = state === "running" || state === "starting";
    throw new MillraceError<SupervisorErrorCode>(
      "SUPERVISOR_NOT_RUNNING",
      `the supervisor is ${isEnding ? "ending" : state}: call start first, and nothing after close`,
    );
  };
  return {
    name: "supervisor",
    get state() {
      return core.lifecycle.state;
    },
    start: (startOptions?: StartOptions) => core.lifecycle.start(startOptions),
    close: (closeOptions?: CloseOptions) => core.lifecycle.close(closeOptions),
    closed: core.lifecycle.closed,
    health: (): Health => core.views.health(),
    [Symbol.asyncDispose]: () => core.lifecycle.close(),
    status: () => {
      const processes = core.views.statuses();
      return {
        processes,
        instances: processes.reduce((sum, { scale }) => sum + scale, 0),
        apiUrl: core.phases.apiUrl,
      };
    },
    process: (name) => core.views.statusOf(name),
    scale: (name, target, steps) => running().fleet.scale(name, target, steps),
    startProcess: (name) => running().fleet.start(name),
    stopProcess: (name) => running().fleet.stop(name),
    restart: (name) => running().fleet.restart(name),
    rollout: (name, patch) => running().rollout(name, patch),
    rollback: (name) => running().rollback(name),
    canary: (name, canaryOptions) => running().canary(name, canaryOptions),
    operation: (id) => core.fleet.operation(id),
    explain: (name) => core.views.explain(name),
    schedules: () => core.schedules.statuses(),
    triggerSchedule: (name) => ({ ...running().schedules.of(name).trigger("manual") }),
    pauseSchedule: (name) => running().schedules.of(name).pause(),
    resumeSchedule: (name) => running().schedules.of(name).resume(),
    scheduleHistory: (name) => core.schedules.of(name).history,
    runs: (name) => core.runs.of(core.fleet.process(name).name),
    readiness: () => core.views.readiness(),
    logs: (name, limit = 100) => core.views.logs(name, limit),
    wake: (name) => running().wake(name),
    decisions: () => core.decisions(),
    whenReady: (name, { timeoutMs = 30_000 } = {}) => running().whenReady(name, timeoutMs),
    fetch: (request) => core.fetch(request),
    events: ({ after, signal } = {}) => core.journal.follow(after, untilEnd(core, signal)),
    unref: () => core.phases.hold.want(false),
    ref: () => core.phases.hold.want(true),
    on: (event, listener) => core.events.on(event, listener),
  };
}

/** Fires when the supervisor has ended, or with `signal`. */
function untilEnd(core: SupervisorCore, signal: AbortSignal | undefined): AbortSignal {
  const ended = new AbortController();
  void core.lifecycle.closed.then(() => ended.abort());
  return signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]);
}
