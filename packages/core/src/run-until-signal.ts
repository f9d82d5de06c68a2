import type { Component } from "./component.ts";
import { DEFAULT_GRACE_MS } from "./lifecycle.ts";
import { messageOf, MillraceError } from "./errors.ts";
import { defaultLogger, type Logger } from "./logger.ts";

export interface RunUntilSignalOptions {
  /** Signals that stop the application. @default ["SIGTERM", "SIGINT"] */
  signals?: readonly NodeJS.Signals[] | undefined;
  /** How long each component may drain when stopping, in milliseconds. @default 10_000 */
  graceMs?: number | undefined;
  logger?: Logger | undefined;
  /** Called once everything runs. */
  onReady?: (() => void) | undefined;
}

/**
 * Starts components in order, waits for a termination signal or for one of them to fail, then
 * closes them in reverse order and ends the process: exit code 0 after a clean stop, 1 after a
 * failed start, a failed component or a stop that did not finish. A second signal ends it at once.
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
  let exitCode = 0;
  const started: Component[] = [];
  try {
    for (const component of components) {
      if (stop.signal.aborted) break;
      started.push(component);
      await component.start({ signal: stop.signal });
    }
    if (!stop.signal.aborted) {
      options.onReady?.();
      const ended = await firstEnd(started, stop.signal);
      if (ended !== undefined) {
        exitCode = 1;
        logger.error({ component: ended.name, err: ended.cause }, "component failed, stopping");
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
  process.exitCode = exitCode;
  if (exitCode !== 0) process.exit(exitCode);
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

async function firstEnd(
  components: readonly Component[],
  signal: AbortSignal,
): Promise<{ name: string; cause: Error | undefined } | undefined> {
  // A referenced timer keeps the process alive when no component holds a handle of its own.
  const keepAlive = setInterval(() => {}, 2 ** 30);
  try {
    return await Promise.race([
      new Promise<undefined>((resolve) => {
        if (signal.aborted) resolve(undefined);
        signal.addEventListener("abort", () => resolve(undefined), { once: true });
      }),
      ...components.map(async ({ name, closed }) => ({ name, cause: await closed })),
    ]);
  } finally {
    clearInterval(keepAlive);
  }
}

async function closeWithin(component: Component, graceMs: number): Promise<void> {
  const deadlineMs = graceMs + 5_000;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new MillraceError(
          "CLOSE_TIMED_OUT",
          `${component.name} did not close within ${deadlineMs} ms`,
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
