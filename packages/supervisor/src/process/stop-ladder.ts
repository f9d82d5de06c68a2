import type { Clock } from "../host/clock.ts";
import type { SupervisorHost } from "../host/supervisor-host.ts";
import { endStrays, type Patience } from "./end-strays.ts";
import type { LaunchPlan } from "./launch-plan.ts";
import type { Run } from "./run.ts";

/** What a stop ladder may do and how long it may take. */
export interface StopLadderOptions {
  signal: NodeJS.Signals;
  /** From the first step to SIGKILL, in milliseconds. */
  timeoutMs: number;
  preStop: { command: readonly string[]; timeoutMs: number } | undefined;
  /** Environment and user of the instance, for `preStop`. */
  plan: LaunchPlan | undefined;
  /** Resolves when the child said that it is drained; `undefined` when it can't say. */
  drained: Promise<void> | undefined;
  /** Aborting it skips to SIGKILL. */
  force: AbortSignal;
  /** The child may put off the deadline; returns the milliseconds granted so far. */
  extensionMs(): number;
  /** Called when the signal is about to be sent. */
  onStopping(): void;
  host: SupervisorHost;
}

/** How a stop went. */
export interface StopOutcome {
  /** Whether it took SIGKILL. */
  killed: boolean;
  durationMs: number;
}

const GROUP_POLL_MS = 20;
const LAST_OUTPUT_MS = 200;

/**
 * Stops a run: asks it to drain, runs `preStop`, signals its group, then what has left the group,
 * kills at the deadline, and returns only when nothing that it has started is left.
 */
export async function stopRun(run: Run, options: StopLadderOptions): Promise<StopOutcome> {
  const { clock } = options.host;
  const startedAt = clock.monotonicMs();
  const deadline = new Deadline(startedAt, options);
  const { drained } = options;
  if (drained !== undefined && run.send({ millrace: "drain", deadlineMs: options.timeoutMs })) {
    await deadline.race([drained, run.exited]);
  }
  if (options.preStop !== undefined && !run.hasEnded && !deadline.passed()) {
    const { command, timeoutMs } = options.preStop;
    const place = options.plan ?? { env: {}, cwd: undefined, uid: undefined, gid: undefined };
    await options.host.runCommand(
      command,
      place,
      Math.min(timeoutMs, deadline.leftMs()),
      options.force,
    );
  }
  options.onStopping();
  if (!run.hasEnded && !deadline.passed()) {
    run.signal(options.signal);
    await deadline.race([run.exited]);
  }
  while (run.hasEnded && !deadline.passed() && run.isAlive()) await deadline.pause(GROUP_POLL_MS);
  const killed = run.isAlive();
  while (run.isAlive()) {
    run.signal("SIGKILL");
    await pause(clock, GROUP_POLL_MS, [run.exited]);
  }
  await run.exited;
  const strayKilled = await endStrays(run, options.host, options.signal, deadline);
  // What it said last is still in the pipe; a process outside the group may hold it open for ever.
  await pause(clock, LAST_OUTPUT_MS, [run.outputEnded]);
  run.release();
  return { killed: killed || strayKilled, durationMs: clock.monotonicMs() - startedAt };
}

class Deadline implements Patience {
  readonly #startedAt: number;
  readonly #options: StopLadderOptions;

  constructor(startedAt: number, options: StopLadderOptions) {
    this.#startedAt = startedAt;
    this.#options = options;
  }

  leftMs(): number {
    if (this.#options.force.aborted) return 0;
    const spent = this.#options.host.clock.monotonicMs() - this.#startedAt;
    return Math.max(0, this.#options.timeoutMs + this.#options.extensionMs() - spent);
  }

  passed(): boolean {
    return this.leftMs() <= 0;
  }

  /** Waits for the first of `promises` or the deadline, whichever it has been put off to. */
  async race(promises: Array<Promise<unknown>>): Promise<void> {
    let settled = false;
    const settle = async (): Promise<void> => {
      await Promise.race(promises);
      settled = true;
    };
    const first = settle();
    const isOver = (): boolean => settled || this.passed();
    while (!isOver()) {
      await pause(this.#options.host.clock, this.leftMs(), [first], this.#options.force);
    }
  }

  async pause(ms: number): Promise<void> {
    const { host, force } = this.#options;
    await pause(host.clock, Math.min(ms, this.leftMs()), [], force);
  }
}

/** Waits `ms` milliseconds, or less when one of `promises` settles or `signal` fires. */
function pause(
  clock: Clock,
  ms: number,
  promises: Array<Promise<unknown>>,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.close();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.setTimeout(end, signal?.aborted === true ? 0 : Math.max(1, ms));
    signal?.addEventListener("abort", end);
    for (const promise of promises) void promise.then(end, end);
  });
}
