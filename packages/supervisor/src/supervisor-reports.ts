import type { Logger, TypedEmitter } from "@millrace/core";
import type { EventJournal } from "./event-journal.ts";
import type { HostGuardian } from "./host/supervisor-host.ts";
import type { LogEntry } from "./logs/log-ring.ts";
import type { HookRun } from "./process/hooks.ts";
import type { Instance } from "./process/instance.ts";
import type { RunHistory } from "./run-history.ts";
import type { ProcessReports } from "./scaling/managed-process.ts";
import type { OperationStatus } from "./scaling/operation.ts";
import type {
  InstanceChange,
  InstanceExit,
  InstanceReports,
  MemoryLimitKind,
  SupervisorEvents,
} from "./supervisor-events.ts";
import type { SupervisorMetrics } from "./supervisor-metrics.ts";

/** Where reports go. */
export interface ReportTargets {
  journal: EventJournal;
  events: TypedEmitter<SupervisorEvents>;
  logger: Logger;
  guardian: HostGuardian;
  runs: RunHistory;
  metrics(): SupervisorMetrics;
  /** Called after an instance has changed its state. */
  onChanged(change: InstanceChange): void;
  /** Called after a process has come to want another number of instances. */
  onScaled(): void;
  /** Called when something has changed that the next supervisor has to know. */
  onSave(): void;
}

/** Turns what instances, processes and hooks report into events, lines of the log and numbers. */
export class SupervisorReports implements InstanceReports, ProcessReports {
  readonly #targets: ReportTargets;

  constructor(targets: ReportTargets) {
    this.#targets = targets;
  }

  emit<Name extends keyof SupervisorEvents>(event: Name, payload: SupervisorEvents[Name]): void {
    this.#targets.journal.append(event, payload);
    this.#targets.events.emit(event, payload);
  }

  onChange(change: InstanceChange): void {
    const level = change.to === "failed" || change.to === "crashloop" ? "warn" : "debug";
    this.#targets.logger[level](change, `${change.instance} is ${change.to}`);
    this.emit("instance:changed", change);
    this.#targets.onSave();
    this.#targets.onChanged(change);
  }

  onSpawned(pid: number): void {
    this.#targets.guardian.add(pid);
  }

  onExit(exit: InstanceExit): void {
    if (exit.pid !== undefined) this.#targets.guardian.remove(exit.pid);
    this.#targets.runs.add(exit);
    this.emit("instance:exited", exit);
  }

  onStopped(process: string, instance: string, durationMs: number, killed: boolean): void {
    this.#targets.metrics().observeStop(process, durationMs / 1_000);
    this.emit("instance:stopped", { process, instance, durationMs, killed });
  }

  onLine(entry: LogEntry): void {
    this.#targets.events.emit("line:written", entry);
  }

  onStackCaptured(instance: string, frames: readonly string[]): void {
    this.#targets.logger.warn(
      { instance, frames },
      "an instance stopped answering, this is its stack",
    );
    this.emit("stack:captured", { instance, frames });
  }

  onHook(run: HookRun): void {
    if (run.outcome !== "succeeded") {
      this.#targets.logger.warn(run, `a ${run.stage} hook ${run.outcome}`);
    }
    this.#targets.metrics().countHook(run.process ?? "", run.stage, run.outcome);
    this.emit("hook:ran", run);
  }

  onMemoryExceeded({ spec, id }: Instance, residentBytes: number, limit: MemoryLimitKind): void {
    const exceeded = { process: spec.name, instance: id, residentBytes, limit };
    const what = limit === "predicted" ? "will soon be over" : "is over";
    this.#targets.logger.warn(exceeded, `an instance ${what} its memory limit`);
    this.emit("memory:exceeded", exceeded);
  }

  onOperation(status: OperationStatus): void {
    this.emit("operation:changed", status);
    this.#targets.onSave();
  }

  onDesired(process: string, from: number, to: number, reason: string): void {
    const scaled = { process, from, to, reason };
    this.#targets.logger.info(scaled, `${process} scales from ${from} to ${to}`);
    this.#targets.metrics().countScale(process, to > from ? "up" : "down", reason);
    this.#targets.onScaled();
    this.emit("process:scaled", scaled);
  }
}
