import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { onProcessExit, watch } from "./exit-guard.ts";
import { childrenOf, isAlive, signalProcess } from "./process-table.ts";
import { ServiceError } from "./service-error.ts";
import type { ServiceUser } from "./service-user.ts";
import { waitUntil } from "./wait-until.ts";

/** How to run one server process. */
export interface ServiceProcessOptions {
  /** What it is called in errors: "Redis". */
  readonly title: string;
  readonly program: string;
  readonly arguments: readonly string[];
  /** The file that takes its standard output and standard error. */
  readonly logFile: string;
  readonly user?: ServiceUser | undefined;
  /** The signal that ends it at once and lets it tidy up. @default "SIGKILL" */
  readonly endSignal?: NodeJS.Signals | undefined;
  /** Removed when this process is killed before it can remove the folder itself. */
  readonly temporaryFolder?: string | undefined;
}

/** A running server process that does not outlive this one. */
export interface ServiceProcess {
  readonly pid: number;
  readonly isRunning: boolean;
  /** Waits until `isReady` returns true. @throws {@link ServiceError} when the process ends or 60 s pass before. */
  ready(isReady: () => boolean | Promise<boolean>): Promise<void>;
  /** Sends the signals one after the other, `stepMs` apart, then SIGKILL, until it has ended. */
  stop(signals: readonly NodeJS.Signals[], stepMs: number): Promise<void>;
  /** SIGKILL to the process and its children; resolves when all of them are gone. */
  kill(): Promise<void>;
}

/** Starts a server process in a session of its own, so that Ctrl-C in a terminal does not reach it. */
export function startServiceProcess(options: ServiceProcessOptions): ServiceProcess {
  const { title, program, logFile, user, endSignal = "SIGKILL" } = options;
  const log = openSync(logFile, "a", 0o600);
  const child = spawn(program, options.arguments, {
    cwd: "/",
    detached: true,
    env: serverEnvironment(),
    stdio: ["ignore", log, log],
    ...(user && { uid: user.uid, gid: user.gid }),
  });
  closeSync(log);
  child.unref();
  const { pid } = child;
  let failure: Error | undefined;
  child.once("error", (error) => {
    failure = error;
  });
  const release = pid === undefined ? () => undefined : guard(pid, endSignal, options);
  child.once("exit", release);

  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    pid: pid ?? 0,
    get isRunning() {
      return pid !== undefined && !hasEnded();
    },
    ready: async (isReady) => {
      try {
        await waitUntil(
          async () => {
            if (failure !== undefined) throw failure;
            if (hasEnded()) throw new Error(`it ended with ${describeEnd(child)}`);
            return isReady();
          },
          { description: `${title} is ready`, timeoutMs: 60_000, intervalMs: 10 },
        );
      } catch (error) {
        await killTree(child);
        const reason = error instanceof Error ? error.message : String(error);
        throw new ServiceError(
          "SERVICES_START_FAILED",
          `${title} (${program}) did not start: ${reason}. The end of its log:\n${tail(logFile)}`,
          { cause: error },
        );
      }
    },
    stop: async (signals, stepMs) => {
      for (const signal of signals) {
        if (hasEnded()) return;
        child.kill(signal);
        await endsWithin(child, stepMs);
      }
      await killTree(child);
    },
    kill: () => killTree(child),
  };
}

function guard(
  pid: number,
  endSignal: NodeJS.Signals,
  { temporaryFolder }: ServiceProcessOptions,
): () => void {
  const unwatch = watch({ pid, signal: endSignal, temporaryFolder });
  const forget = onProcessExit(() => {
    endNow(pid, endSignal);
    unwatch();
  });
  return () => {
    forget();
    unwatch();
  };
}

function endNow(pid: number, endSignal: NodeJS.Signals): void {
  const children = childrenOf(pid);
  signalProcess(pid, endSignal);
  // An exit handler cannot await; five seconds is what PostgreSQL gives its own children on SIGQUIT.
  const stillness = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; waitedMs < 5_000 && isAlive(pid); waitedMs += 10) {
    Atomics.wait(stillness, 0, 0, 10);
  }
  for (const process of [pid, ...children]) {
    if (isAlive(process)) signalProcess(process, "SIGKILL");
  }
}

async function killTree(child: ChildProcess): Promise<void> {
  const { pid } = child;
  if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  // Frozen first, so that it cannot fork another child between the listing and the kill.
  signalProcess(pid, "SIGSTOP");
  const family = [pid, ...childrenOf(pid)];
  for (const member of family) signalProcess(member, "SIGKILL");
  await waitUntil(() => family.every((member) => !isAlive(member)), {
    description: `process ${pid} and its children are gone after SIGKILL`,
    intervalMs: 5,
  });
  await endsWithin(child, 5_000);
}

async function endsWithin(child: ChildProcess, timeoutMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const timer = new AbortController();
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
  });
  child.ref();
  await Promise.race([
    ended,
    sleep(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined),
  ]);
  timer.abort();
  child.unref();
}

function serverEnvironment(): NodeJS.ProcessEnv {
  // PGDATA, PGPORT and their kind are the developer's own; they must not reach a server of ours.
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("PG"));
  return { ...Object.fromEntries(inherited), LC_ALL: "C" };
}

function describeEnd(child: ChildProcess): string {
  return child.signalCode === null ? `exit code ${child.exitCode}` : `signal ${child.signalCode}`;
}

function tail(file: string): string {
  return existsSync(file)
    ? readFileSync(file, "utf8").trimEnd().split("\n").slice(-15).join("\n")
    : "";
}
