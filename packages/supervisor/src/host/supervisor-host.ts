import type { HostCapacity } from "../cgroup/host-capacity.ts";
import type { LogEntry } from "../logs/log-ring.ts";
import type { Stray } from "../orphans/stray-finder.ts";
import type { LaunchPlan } from "../process/launch-plan.ts";
import type { CommandOutcome, CommandPlace } from "../process/run-command.ts";
import type { ResourceUsage } from "../process/resource-usage.ts";
import type { Run, RunListeners } from "../process/run.ts";
import type { Clock } from "./clock.ts";
import type { LoopHandle } from "./event-loop-hold.ts";

/** Ends what outlives a supervisor that was killed. */
export interface HostGuardian {
  /** Tags the children that it ends. */
  readonly id: string;
  start(): void;
  add(groupId: number): void;
  remove(groupId: number): void;
  close(): Promise<void>;
}

/**
 * Everything that a supervisor has from the computer below it to run, time and watch processes: the
 * real one, or one that a simulation makes up.
 */
export interface SupervisorHost {
  readonly clock: Clock;
  readonly guardian: HostGuardian;
  readonly capacity: HostCapacity;
  /** At least 0, below 1. */
  random(): number;
  /** Opens what keeps the program alive. */
  holdEventLoop(): LoopHandle;
  /** Starts the process of a plan. Never throws: what can't be started ends at once. */
  launch(plan: LaunchPlan, listeners: RunListeners): Run;
  /** Runs a command to its end, as for a hook; never rejects. */
  runCommand(
    command: readonly string[],
    place: CommandPlace,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<CommandOutcome>;
  /** What processes of a run there still are, those that have left its group included. */
  findStrays(runId: string): Promise<Stray[]>;
  /** What a process and its descendants take; `undefined` when that isn't known. */
  sample(pid: number): ResourceUsage | undefined;
  /** JavaScript stack of a child that no longer answers, innermost frame first. */
  captureStack(pid: number, newestLines: (limit: number) => readonly LogEntry[]): Promise<string[]>;
}
