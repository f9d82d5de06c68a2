import { spawn, type ChildProcess } from "node:child_process";
import type { Socket } from "node:net";

const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const cleanUps = new Set<() => void>();
let isInstalled = false;

/**
 * Runs a synchronous clean-up when this process exits, throws or is ended by SIGINT, SIGTERM or SIGHUP.
 *
 * A process that has its own handler for the signal stays in charge: the clean-up then waits for its exit.
 *
 * @returns A function that forgets the clean-up.
 */
export function onProcessExit(cleanUp: () => void): () => void {
  install();
  cleanUps.add(cleanUp);
  return () => {
    cleanUps.delete(cleanUp);
  };
}

/** The process that a watchdog ends, and how. */
export interface Watched {
  readonly pid: number;
  /** The signal that makes it end at once and tidily. */
  readonly signal: NodeJS.Signals;
  /** A folder to remove after it. */
  readonly temporaryFolder: string | undefined;
}

// $1 pid, $2 signal, $3 folder. Standard input ends when the process that started the watchdog does, however it died.
const WATCHDOG_SCRIPT = `
read -r _
kill -s "$2" "$1" 2>/dev/null
tries=0
while kill -0 "$1" 2>/dev/null && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
kill -s KILL "$1" 2>/dev/null
if [ -n "$3" ]; then rm -rf -- "$3"; fi
`;

/**
 * Starts a tiny shell that ends a service after this process was killed with SIGKILL, when no handler can run.
 *
 * @returns A function that ends the watchdog without any effect.
 */
export function watch({ pid, signal, temporaryFolder }: Watched): () => void {
  const watchdog: ChildProcess = spawn(
    "/bin/sh",
    [
      "-c",
      WATCHDOG_SCRIPT,
      "millrace-watchdog",
      String(pid),
      signal.replace(/^SIG/, ""),
      temporaryFolder ?? "",
    ],
    { cwd: "/", detached: true, stdio: ["pipe", "ignore", "ignore"] },
  );
  watchdog.on("error", () => undefined);
  watchdog.unref();
  // A pipe to a child is a socket, and would keep this process running.
  (watchdog.stdin as Socket | null)?.unref();
  return () => {
    watchdog.kill("SIGKILL");
  };
}

function install(): void {
  if (isInstalled) return;
  isInstalled = true;
  process.on("exit", runCleanUps);
  for (const signal of ENDING_SIGNALS) {
    const endBySignal = (): void => {
      if (process.listenerCount(signal) > 1) return;
      runCleanUps();
      process.off(signal, endBySignal);
      process.kill(process.pid, signal);
    };
    // First in the list, so that a `once` handler of the application is still counted above.
    process.prependListener(signal, endBySignal);
  }
}

function runCleanUps(): void {
  for (const cleanUp of [...cleanUps].toReversed()) {
    cleanUps.delete(cleanUp);
    try {
      cleanUp();
    } catch {
      // The others still have to run, and an exiting process has nobody to tell.
    }
  }
}
