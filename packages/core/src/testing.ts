/**
 * Helpers for tests of code that uses the packages.
 *
 * @module
 */
import type { Logger, LogMethod } from "./logger.ts";

/** A line that a {@link MemoryLogger} kept. */
export interface LogLine {
  level: "debug" | "info" | "warn" | "error";
  message: string;
  fields: Record<string, unknown>;
}

/** A logger that keeps its lines. */
export interface MemoryLogger extends Logger {
  readonly lines: LogLine[];
}

/** Creates a logger that keeps its lines in memory, in order; children share them. */
export function createMemoryLogger(
  lines: LogLine[] = [],
  bindings: Record<string, unknown> = {},
): MemoryLogger {
  const method =
    (level: LogLine["level"]): LogMethod =>
    (first: object | string, message?: string) => {
      const fields = typeof first === "string" ? {} : first;
      lines.push({
        level,
        message: typeof first === "string" ? first : (message ?? ""),
        fields: { ...bindings, ...fields },
      });
    };
  return {
    lines,
    debug: method("debug"),
    info: method("info"),
    warn: method("warn"),
    error: method("error"),
    child: (more) => createMemoryLogger(lines, { ...bindings, ...more }),
  };
}

/** Options of {@link waitFor}. */
export interface WaitForOptions {
  /** Deadline, in milliseconds. @default 10_000 */
  timeoutMs?: number | undefined;
  /** Pause between tries, in milliseconds. @default 10 */
  intervalMs?: number | undefined;
  /** Named in the error when the deadline passes. */
  description?: string | undefined;
}

/**
 * Waits until `condition` gives something truthy and returns it; what it throws counts as "not
 * yet" and is shown when the deadline passes.
 */
export async function waitFor<Result>(
  condition: () => Result | Promise<Result>,
  { timeoutMs = 10_000, intervalMs = 10, description = "condition" }: WaitForOptions = {},
): Promise<NonNullable<Result>> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const result = await condition();
      if (result) return result;
      last = result;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`${description} did not hold within ${timeoutMs} ms; last: ${String(last)}`, {
        cause: last,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
