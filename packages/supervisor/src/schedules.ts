import { type Logger, MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "./errors.ts";
import type { Fleet } from "./fleet.ts";
import type { SupervisorHost } from "./host/supervisor-host.ts";
import { ScheduledProcess } from "./scheduling/scheduled-process.ts";
import type { ScheduledRun, ScheduleStatus } from "./scheduling/scheduled-run.ts";

/** The schedules of all processes that have one. */
export class Schedules {
  readonly #fleet: Fleet;
  readonly #scheduled = new Map<string, ScheduledProcess>();

  constructor(
    fleet: Fleet,
    host: SupervisorHost,
    logger: Logger,
    onRun: (run: ScheduledRun) => void,
  ) {
    this.#fleet = fleet;
    for (const process of fleet.processes.values()) {
      if (process.spec.options.schedule === undefined) continue;
      this.#scheduled.set(process.name, new ScheduledProcess(process, host, logger, onRun));
    }
  }

  start(): void {
    for (const scheduled of this.#scheduled.values()) scheduled.start();
  }

  stop(): void {
    for (const scheduled of this.#scheduled.values()) scheduled.stop();
  }

  statuses(): ScheduleStatus[] {
    return [...this.#scheduled.values()].map((scheduled) => scheduled.status());
  }

  /** The status of a process's schedule, if it has one. */
  find(name: string): ScheduleStatus | undefined {
    return this.#scheduled.get(name)?.status();
  }

  /** @throws {@link MillraceError} `SUPERVISOR_PROCESS_UNKNOWN`, `SUPERVISOR_NOT_SCHEDULED` */
  of(name: string): ScheduledProcess {
    const scheduled = this.#scheduled.get(this.#fleet.process(name).name);
    if (scheduled !== undefined) return scheduled;
    throw new MillraceError<SupervisorErrorCode>(
      "SUPERVISOR_NOT_SCHEDULED",
      `${name} has no schedule: give it the option schedule`,
      { details: { process: name } },
    );
  }
}
