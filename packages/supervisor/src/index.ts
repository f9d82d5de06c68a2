/**
 * Runs, scales, rolls and drains N copies of a process.
 *
 * @example
 * ```ts
 * import { createSupervisor, queueDepth, steps } from "@millrace/supervisor";
 *
 * const tiers = steps([{ above: 1000, instances: 20 }, { above: 100, instances: 5 }, { instances: 2 }]);
 * const supervisor = createSupervisor({
 *   processes: {
 *     "queue-default": {
 *       command: ["node", "worker.js", "--id=${INSTANCE_NUMBER}"],
 *       scale: 3,
 *       autoscale: [queueDepth({ depth: () => 42 }, { steps: tiers })],
 *     },
 *   },
 *   api: { port: 9180, tokens: ["a-long-secret"] },
 * });
 * await supervisor.start();
 * await supervisor.close();
 * ```
 *
 * @module
 */
export type { AutoscaleDecision, DecisionLimit, Opinion } from "./autoscale/decision.ts";
export { bufferDepth, type BufferSource } from "./autoscale/inputs/buffer-depth.ts";
export { cpu } from "./autoscale/inputs/cpu.ts";
export { eventLoop } from "./autoscale/inputs/event-loop.ts";
export { memory, type MemoryInputOptions } from "./autoscale/inputs/memory.ts";
export { metric, type MetricOptions } from "./autoscale/inputs/metric.ts";
export { pressure } from "./autoscale/inputs/pressure.ts";
export {
  type Counters,
  type DepthSource,
  queueDepth,
  type QueueDepthOptions,
} from "./autoscale/inputs/queue-depth.ts";
export { schedule, type ScheduleWindow } from "./autoscale/inputs/schedule.ts";
export { type Step, steps, type Steps } from "./autoscale/inputs/steps.ts";
export type { DemandForecastOptions } from "./autoscale/forecast/demand-forecast.ts";
export { availableCpus, availableMemory } from "./cgroup/cgroup-limits.ts";
export type { JournalEntry } from "./event-journal.ts";
export type { Explanation } from "./explain.ts";
export type { SupervisorErrorCode } from "./errors.ts";
export type { ScaleTarget } from "./fleet.ts";
export type { LogEntry, LogLevel } from "./logs/log-ring.ts";
export type {
  AutoscaleContext,
  AutoscaleInput,
  AutoscaleOptions,
  AutoscaleReading,
  RatePolicy,
  ScalingRules,
} from "./options/autoscale-options.ts";
export type {
  HookOptions,
  HookStage,
  InstanceHooks,
  SupervisorHooks,
} from "./options/hook-options.ts";
export type { ProcessPatch } from "./options/merge-process-options.ts";
export type {
  ExecProbe,
  FileProbe,
  HealthOptions,
  HttpProbe,
  IpcProbe,
  ProbeOptions,
  ProbeTiming,
  TcpProbe,
} from "./options/probe-options.ts";
export type {
  DependencyCondition,
  ProcessOptions,
  RestartMode,
} from "./options/process-options.ts";
export {
  type ApiOptions,
  type ApiToken,
  type SupervisorOptions,
  supervisorOptionsSchema,
} from "./options/supervisor-options.ts";
export type { HookRun } from "./process/hooks.ts";
export type { InstanceState } from "./process/instance-state.ts";
export type { StateStep } from "./process/state-track.ts";
export type { Readiness } from "./readiness.ts";
export { replayEvents, type ReplayedInstance, type ReplayedProcess } from "./replay.ts";
export type { EndedRun } from "./run-history.ts";
export type {
  CanaryOptions,
  CanaryStatus,
  CanaryVerdict,
  CanaryView,
} from "./scaling/canary-options.ts";
export type { ErrorCounts } from "./scaling/canary-verdict.ts";
export type { ScaleSteps } from "./scaling/managed-process.ts";
export type {
  Operation,
  OperationKind,
  OperationState,
  OperationStatus,
  RolloutFailure,
} from "./scaling/operation.ts";
export type { ChooseVictims, VictimCandidate } from "./scaling/victims.ts";
export type { PingOptions } from "./scheduling/ping.ts";
export type { ScheduledRun, ScheduleStatus } from "./scheduling/scheduled-run.ts";
export type { InstanceChange, InstanceExit, SupervisorEvents } from "./supervisor-events.ts";
export type { InstanceStatus, ProcessState, ProcessStatus } from "./supervisor-status.ts";
export { createSupervisor, type Supervisor, type SupervisorStatus } from "./supervisor.ts";
