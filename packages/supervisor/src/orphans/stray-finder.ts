import { type Clock, sleep } from "../host/clock.ts";
import { readProcFile } from "../process/proc-file.ts";
import { listPids, readProcStat } from "../process/proc-stat.ts";
import { isSameProcess, type ProcessIdentity } from "../process/process-identity.ts";

/** A process that an instance has started, wherever it has gone since. */
export interface Stray {
  signal(signal: NodeJS.Signals): void;
  isAlive(): boolean;
}

/** In the environment of everything that one run of an instance starts, daemons included. */
export const RUN_ID_VARIABLE = "MILLRACE_RUN_ID";

const NEEDLE = Buffer.from(`${RUN_ID_VARIABLE}=`);
const KERNEL_THREADS_PARENT = 2;
/** Processes that are looked at in one turn of the event loop: some of 10 µs each. */
const PIDS_PER_TURN = 100;
/** How long a look is rested from, at most: however many ask one after the other, half the time is free. */
const MAX_REST_MS = 20;
const MAX_ROUNDS = 3;

type Found = Map<string, ProcessIdentity[]>;

/**
 * Finds what runs of instances have left behind, by a tag in the environment that nothing takes off
 * by leaving its group, its session or its parent. One look at all processes serves all who ask at
 * about the same time: a hundred instances that stop together don't read `/proc` a hundred times.
 */
export class StrayFinder {
  readonly #clock: Clock;
  #next: Promise<Found> | undefined;
  #rested: Promise<void> = Promise.resolve();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What still runs of that run; nothing where there is no `/proc`. */
  async find(runId: string): Promise<Stray[]> {
    this.#next ??= this.#lookSoon();
    const found = await this.#next;
    return (found.get(runId) ?? []).map((identity) => ({
      signal: (signal) => {
        if (isSameProcess(identity)) sendSignal(identity.pid, signal);
      },
      isAlive: () => isSameProcess(identity),
    }));
  }

  async #lookSoon(): Promise<Found> {
    await this.#rested;
    await this.#clock.nextTurn();
    // Who asks from here on may mean a process that this look has passed already.
    this.#next = undefined;
    const startedAt = this.#clock.monotonicMs();
    const looking = this.#look();
    this.#rested = looking.then(() => {
      const tookMs = this.#clock.monotonicMs() - startedAt;
      return sleep(this.#clock, Math.min(tookMs, MAX_REST_MS));
    });
    return looking;
  }

  async #look(): Promise<Found> {
    const found: Found = new Map();
    for (let round = 0; round < MAX_ROUNDS; round++) {
      found.clear();
      let isSure = true;
      for (const [index, pid] of listPids().entries()) {
        if (index % PIDS_PER_TURN === PIDS_PER_TURN - 1) await this.#clock.nextTurn();
        const environment = readProcFile(`/proc/${pid}/environ`);
        const runId = runIdIn(environment);
        if (runId !== undefined) remember(found, runId, pid);
        else if (!isSettled(pid, environment?.length)) isSure = false;
      }
      if (isSure) break;
    }
    return found;
  }
}

/**
 * Whether a process without a tag is none of ours for sure. One that has ended since all were listed
 * may have started another; one that is just becoming another program shows no environment.
 */
function isSettled(pid: number, environmentBytes: number | undefined): boolean {
  if (environmentBytes !== undefined && environmentBytes > 0) return true;
  const stat = readProcStat(pid);
  if (stat === undefined) return false;
  const isKernelThread = pid === KERNEL_THREADS_PARENT || stat.parentPid === KERNEL_THREADS_PARENT;
  return isKernelThread || stat.state === "Z" || environmentBytes === undefined;
}

function runIdIn(environment: Buffer | undefined): string | undefined {
  if (environment === undefined) return undefined;
  for (let at = environment.indexOf(NEEDLE); at >= 0; at = environment.indexOf(NEEDLE, at + 1)) {
    if (at > 0 && environment[at - 1] !== 0) continue;
    const start = at + NEEDLE.length;
    const end = environment.indexOf(0, start);
    return environment.toString("latin1", start, end < 0 ? environment.length : end);
  }
  return undefined;
}

function remember(found: Found, runId: string, pid: number): void {
  // What we may not end, as what runs as another user, would only be waited for.
  if (pid === process.pid || !sendSignal(pid, 0)) return;
  const stat = readProcStat(pid);
  // Its start time is that of a stranger, should the pid have been given to one in between.
  const isSame = runIdIn(readProcFile(`/proc/${pid}/environ`)) === runId;
  if (stat === undefined || !isSame) return;
  const identity = { pid, startTicks: stat.startTicks };
  const known = found.get(runId);
  if (known === undefined) found.set(runId, [identity]);
  else known.push(identity);
}

function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
