import type { Component } from "./component.ts";
import { DEFAULT_GRACE_MS } from "./lifecycle.ts";
import { messageOf, MillraceError } from "./errors.ts";
import { defaultLogger, type Logger } from "./logger.ts";

/** How long something else may keep the process after a clean stop, in milliseconds. */
const LEFTOVER_MS = 2_000;

/** Options of {@link runUntilSignal}. */
export interface RunUntilSignalOptions {
  /** Signals that stop the application. @default ["SIGTERM", "SIGINT"] */
  signals?: readonly NodeJS.Signals[] | undefined;
  /** How long each component may drain when stopping, in milliseconds. @default 10_000 */
  graceMs?: number | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
  /** Called once everything runs. */
  onReady?: (() => void) | undefined;
}

/**
 * Starts components in order, waits for a termination signal or for one of them to fail, then
 * closes them in reverse order and ends the process: exit code 0 after a clean stop, 1 after a
 * failed start, a failed component (or what its error's `details.exitCode` says) or a stop that did
 * not finish. A second signal ends it at once.
 * A component that is closed by other means is no failure; when all are, the application ends.
 *
 * What should run after it has 2 seconds: whatever keeps the process for longer after a clean stop
 * is cut off with a warning.
 *
 * @example
 * ```ts
 * import { createPressure, runUntilSignal } from "@millrace/core";
 *
 * const pressure = createPressure({ sources: [] });
 * await runUntilSignal([pressure], { signals: ["SIGTERM"], onReady: () => process.emit("SIGTERM") });
 * ```
 */
export async function runUntilSignal(
  components: readonly Component[],
  options: RunUntilSignalOptions = {},
): Promise<void> {
  const logger = options.logger ?? defaultLogger();
  const graceMs = options.graceMs ?? DEFAULT_GRACE_MS;
  const stop = listenForSignals(options.signals ?? ["SIGTERM", "SIGINT"]);
  // A referenced timer keeps the process alive when no component holds a handle of its own.
  const keepAlive = setInterval(() => {}, 2 ** 30);
  let exitCode = 0;
  const started: Component[] = [];
  try {
    for (const component of components) {
      if (stop.signal.aborted) break;
      started.push(component);
      await startUnlessStopped(component, stop.signal);
    }
    if (!stop.signal.aborted) {
      options.onReady?.();
      const failed = await firstFailure(started, stop.signal);
      if (failed !== undefined) {
        exitCode = exitCodeOf(failed.cause);
        logger.error({ component: failed.name, err: failed.cause }, "component failed, stopping");
      }
    }
  } catch (error) {
    if (!stop.signal.aborted) {
      exitCode = 1;
      logger.error({ err: error }, `start failed: ${messageOf(error)}`);
    }
  }
  for (const component of started.toReversed()) {
    try {
      await closeWithin(component, graceMs);
    } catch (error) {
      exitCode = 1;
      logger.error({ component: component.name, err: error }, "component did not stop cleanly");
    }
  }
  stop.release();
  clearInterval(keepAlive);
  if (exitCode !== 0) process.exit(exitCode);
  endDespiteLeftovers(logger);
}

/** 1, unless who failed was told what to end with. */
function exitCodeOf(cause: Error): number {
  const code = MillraceError.is(cause) ? cause.details["exitCode"] : undefined;
  return typeof code === "number" && Number.isInteger(code) && code > 0 && code < 256 ? code : 1;
}

/** A start that ignores its signal must not keep the application from stopping. */
async function startUnlessStopped(component: Component, signal: AbortSignal): Promise<void> {
  const starting = component.start({ signal });
  const over = new AbortController();
  const aborted = new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true, signal: over.signal });
  });
  try {
    await Promise.race([starting, aborted]);
  } finally {
    over.abort();
    // After a signal nobody else hears of it; closing tells what went wrong.
    starting.catch(() => {});
  }
}

/** Unreferenced, so it only fires when something else would keep the process from ending. */
function endDespiteLeftovers(logger: Logger): void {
  const timer = setTimeout(() => {
    const leftovers = process.getActiveResourcesInfo();
    logger.warn({ leftovers }, "all components stopped but something keeps the process: ending it");
    process.exit();
  }, LEFTOVER_MS);
  timer.unref();
}

function listenForSignals(signals: readonly NodeJS.Signals[]) {
  const abort = new AbortController();
  const onSignal = () => {
    if (abort.signal.aborted) process.exit(1);
    abort.abort();
  };
  for (const name of signals) process.on(name, onSignal);
  return {
    signal: abort.signal,
    release: () => {
      for (const name of signals) process.off(name, onSignal);
    },
  };
}

/** Resolves with the first component that fails; undefined on a signal or when all are closed. */
function firstFailure(
  components: readonly Component[],
  signal: AbortSignal,
): Promise<{ name: string; cause: Error } | undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
    let running = components.length;
    for (const { name, closed } of components) {
      const onClosed = (cause: Error | undefined) => {
        running--;
        if (cause !== undefined) resolve({ name, cause });
        else if (running === 0) resolve(undefined);
      };
      void closed.then(onClosed);
    }
  });
}

async function closeWithin(component: Component, graceMs: number): Promise<void> {
  const deadlineMs = graceMs + 5_000;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new MillraceError(
          "CLOSE_TIMED_OUT",
          `${component.name} did not close within ${deadlineMs} ms: see what it waits for, or raise graceMs`,
          { details: { component: component.name, deadlineMs } },
        ),
      );
    }, deadlineMs);
  });
  try {
    await Promise.race([component.close({ graceMs }), late]);
  } finally {
    clearTimeout(timer);
  }
}
