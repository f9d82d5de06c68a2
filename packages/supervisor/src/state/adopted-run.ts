import type { Clock, Timer } from "../host/clock.ts";
import { RUN_ID_VARIABLE } from "../orphans/stray-finder.ts";
import { groupIsAlive, signalGroup } from "../process/process-group.ts";
import { readEnvironment } from "../process/proc-stat.ts";
import { isSameProcess, type ProcessIdentity } from "../process/process-identity.ts";
import type { Exit } from "../process/restart-policy.ts";
import type { Run } from "../process/run.ts";

const POLL_MS = 200;

/** A process that an earlier supervisor started: no child of ours, so its end is seen by looking. */
export class AdoptedRun implements Run {
  readonly id: string | undefined;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly startedMonotonicMs: number;
  readonly exited: Promise<Exit>;
  readonly outputEnded = Promise.resolve();
  readonly isAdopted = true;
  readonly #identity: ProcessIdentity;
  readonly #timer: Timer;
  #hasEnded = false;

  constructor(
    identity: ProcessIdentity,
    uptimeMs: number,
    clock: Clock,
    onExit: (exit: Exit) => void,
  ) {
    this.#identity = identity;
    this.pid = identity.pid;
    this.id = readEnvironment(identity.pid).get(RUN_ID_VARIABLE);
    this.startedAtMs = clock.now() - uptimeMs;
    this.startedMonotonicMs = clock.monotonicMs() - uptimeMs;
    const { promise, resolve } = Promise.withResolvers<Exit>();
    this.exited = promise;
    this.#timer = clock.setInterval(() => {
      if (isSameProcess(identity)) return;
      this.#timer.close();
      this.#hasEnded = true;
      const exit: Exit = { code: null, signal: null };
      resolve(exit);
      onExit(exit);
    }, POLL_MS);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  signal(signal: NodeJS.Signals): void {
    const isOurs = isSameProcess(this.#identity) || (this.#hasEnded && groupIsAlive(this.pid));
    if (isOurs) signalGroup(this.pid, signal);
  }

  send(): boolean {
    return false;
  }

  isAlive(): boolean {
    return this.#hasEnded ? groupIsAlive(this.pid) : true;
  }

  release(): void {
    this.#timer.close();
  }
}
