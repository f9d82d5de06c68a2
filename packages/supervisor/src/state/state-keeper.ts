import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { type Logger, LogThrottle, messageOf, MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";
import type { Fleet } from "../fleet.ts";
import type { Clock, Timer } from "../host/clock.ts";
import { signalGroup } from "../process/process-group.ts";
import {
  readBootId,
  readProcStat,
  readUptimeSeconds,
  TICKS_PER_SECOND,
} from "../process/proc-stat.ts";
import { isSameProcess } from "../process/process-identity.ts";
import type { ManagedProcess } from "../scaling/managed-process.ts";
import { AdoptedRun } from "./adopted-run.ts";
import { readState, type SupervisorState, writeState } from "./state-file.ts";
import { StateLock } from "./state-lock.ts";
import { findSurvivors, type Survivor } from "./survivors.ts";

// Changes come in bursts: one write per burst is enough, because survivors are also found without.
const SAVE_DELAY_MS = 50;

/** Remembers desired counts and surviving instances in a file, and takes the latter over. */
export class StateKeeper {
  /** Tags survivors; the same for every supervisor that uses this file. */
  readonly id: string;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #lock: StateLock;
  #previous: SupervisorState | undefined;
  #timer: Timer | undefined;
  #fleet: Fleet | undefined;
  #throttle: LogThrottle | undefined;
  #configured = new Map<string, number>();

  constructor(file: string, clock: Clock) {
    this.#clock = clock;
    this.#path = resolve(file);
    this.id = createHash("sha256").update(this.#path).digest("hex").slice(0, 24);
    this.#lock = new StateLock(`${this.#path}.lock`);
  }

  /**
   * @param logger hears when the file can't be written.
   * @throws {@link MillraceError} `SUPERVISOR_STATE_LOCKED`, `SUPERVISOR_STATE_NOT_WRITABLE`,
   * `SUPERVISOR_ADOPTION_UNSUPPORTED`
   */
  open(logger: Logger): void {
    if (readProcStat(process.pid) === undefined) {
      throw new MillraceError<SupervisorErrorCode>(
        "SUPERVISOR_ADOPTION_UNSUPPORTED",
        "state needs /proc to tell processes apart, which this platform lacks: leave the option out",
      );
    }
    this.#throttle = new LogThrottle(logger);
    this.#lock.acquire();
    this.#previous = readState(this.#path);
  }

  /** The scale that was last wanted, unless the configuration has changed since. */
  desired(process: string, configured: number): number | undefined {
    this.#configured.set(process, configured);
    const remembered = this.#previous?.processes[process];
    return remembered?.configured === configured ? remembered.desired : undefined;
  }

  /** Whether a process was stopped by hand, with a restart policy that keeps it so. */
  staysStopped({ name, spec }: ManagedProcess): boolean {
    const isStopped = this.#previous?.processes[name]?.stopped === true;
    return isStopped && spec.options.restart === "unless-stopped";
  }

  /** Takes over survivors; surplus, doubled and unknown ones are told to end. */
  adopt(fleet: Fleet, onAdopted: (process: string, instance: string, pid: number) => void): void {
    this.#fleet = fleet;
    for (const process of fleet.processes.values()) {
      process.scheduledAtMs = this.#previous?.processes[process.name]?.scheduledAtMs;
    }
    const adoptedRuns = new Set<string>();
    for (const survivor of findSurvivors(this.id, this.#previous)) {
      const process = fleet.processes.get(survivor.process);
      const wanted =
        process?.spec.options.onSupervisorDeath === "survive" &&
        !process.instances.has(survivor.number);
      const { runId } = survivor;
      if (process === undefined || !wanted) {
        // A daemon leads a group too, later than the instance that it belongs to.
        if (runId === undefined || !adoptedRuns.has(runId)) endSurvivor(survivor);
        continue;
      }
      if (runId !== undefined) adoptedRuns.add(runId);
      const instance = process.createInstance(survivor.number, process.spec);
      process.instances.set(survivor.number, instance);
      const uptimeMs = (readUptimeSeconds() - survivor.startTicks / TICKS_PER_SECOND) * 1_000;
      instance.adopt((onExit) => new AdoptedRun(survivor, uptimeMs, this.#clock, onExit));
      onAdopted(process.name, instance.id, survivor.pid);
    }
  }

  /** Writes the state soon. */
  save(): void {
    if (this.#fleet === undefined) return;
    this.#timer ??= this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.#write();
    }, SAVE_DELAY_MS);
  }

  close(): void {
    this.#timer?.close();
    this.#write();
    this.#fleet = undefined;
    this.#lock.release();
  }

  #write(): void {
    if (this.#fleet === undefined) return;
    // A full disk must not end what runs well: the next supervisor finds survivors without the file.
    try {
      writeState(this.#path, this.#describe(this.#fleet));
    } catch (error) {
      this.#throttle?.warn(
        "write",
        () => ({ err: error }),
        `cannot write the state file (${messageOf(error)}): free disk space or check its permissions; the next supervisor would not know of changes since`,
      );
    }
  }

  #describe(fleet: Fleet): SupervisorState {
    const processes = [...fleet.processes.values()];
    return {
      version: 1,
      bootId: readBootId(),
      processes: Object.fromEntries(
        processes.map(({ name, desired, isStoppedByHand: stopped, scheduledAtMs }) => [
          name,
          {
            configured: this.#configured.get(name) ?? desired,
            desired,
            stopped,
            ...(scheduledAtMs === undefined ? {} : { scheduledAtMs }),
          },
        ]),
      ),
      instances: processes
        .filter(({ spec }) => spec.options.onSupervisorDeath === "survive")
        .flatMap(({ name, all }) =>
          all.flatMap(({ pid, number }) => {
            const startTicks = pid === undefined ? undefined : readProcStat(pid)?.startTicks;
            if (pid === undefined || startTicks === undefined) return [];
            return [{ process: name, number, pid, startTicks }];
          }),
        ),
    };
  }
}

function endSurvivor(survivor: Survivor): void {
  if (isSameProcess(survivor)) signalGroup(survivor.pid, "SIGTERM");
}
