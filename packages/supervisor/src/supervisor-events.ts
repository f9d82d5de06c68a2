import type { AutoscaleDecision } from "./autoscale/decision.ts";
import type { LogEntry } from "./logs/log-ring.ts";
import type { HookRun } from "./process/hooks.ts";
import type { InstanceState } from "./process/instance-state.ts";
import type { CanaryStatus } from "./scaling/canary-options.ts";
import type { OperationStatus } from "./scaling/operation.ts";
import type { ScheduledRun } from "./scheduling/scheduled-run.ts";

/** One step of one instance. */
export interface InstanceChange {
  process: string;
  instance: string;
  number: number;
  generation: number;
  pid: number | undefined;
  from: InstanceState;
  to: InstanceState;
  reason: string;
}

/** The end of one run of an instance. */
export interface InstanceExit {
  process: string;
  instance: string;
  number: number;
  generation: number;
  pid: number | undefined;
  code: number | null;
  signal: NodeJS.Signals | null;
  spawnError: string | undefined;
  uptimeMs: number;
}

/** What of a memory limit was reached; `predicted` when it is going to be. */
export type MemoryLimitKind = "soft" | "hard" | "predicted";

/** Why an instance was restarted. */
export type RestartReason = "crash" | "exit" | "health" | "memory" | "manual" | "spawn-error";

/** What an instance tells its owner. */
export interface InstanceReports {
  onChange(change: InstanceChange): void;
  onExit(exit: InstanceExit): void;
  onLine(entry: LogEntry): void;
  onStopped(process: string, instance: string, durationMs: number, killed: boolean): void;
  /** Called when an instance has a process. */
  onSpawned(pid: number): void;
  onHook(run: HookRun): void;
  onStackCaptured(instance: string, frames: readonly string[]): void;
}

/** Events of a supervisor. */
export type SupervisorEvents = {
  /** When an instance changes its state. */
  "instance:changed": InstanceChange;
  /** When a process of an instance ended, whatever the reason. */
  "instance:exited": InstanceExit;
  /** When an instance has been stopped and nothing of it is left. */
  "instance:stopped": { process: string; instance: string; durationMs: number; killed: boolean };
  /** When a child that stopped answering was asked for its JavaScript stack, innermost frame first. */
  "stack:captured": { instance: string; frames: readonly string[] };
  /** When an instance went over its memory limit, or is about to. */
  "memory:exceeded": {
    process: string;
    instance: string;
    residentBytes: number;
    limit: MemoryLimitKind;
  };
  /** When a hook ended, all its attempts together. */
  "hook:ran": HookRun;
  /** When a child wrote a line. */
  "line:written": LogEntry;
  /** When an operation begins, gets on or ends. */
  "operation:changed": OperationStatus;
  /** When the number of instances wanted changed. */
  "process:scaled": { process: string; from: number; to: number; reason: string };
  /** When a schedule fired, or its run ended. */
  "schedule:ran": ScheduledRun;
  /** When an autoscaler has decided, whether or not that changes anything. */
  "autoscale:decided": AutoscaleDecision;
  /** When a canary gets on, is promoted or aborted. */
  "canary:changed": CanaryStatus;
  /** When instances of an earlier supervisor were taken over. */
  "instance:adopted": { process: string; instance: string; pid: number };
};
