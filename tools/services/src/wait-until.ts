import { setTimeout as sleep } from "node:timers/promises";
import { ServiceError } from "./service-error.ts";

/** How often and how long {@link waitUntil} looks. */
export interface WaitUntilOptions {
  /** What is awaited, for the error: "PostgreSQL accepts connections". */
  readonly description: string;
  /** Milliseconds until it gives up. @default 30,000 */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds between two looks. @default 20 */
  readonly intervalMs?: number | undefined;
}

/**
 * Looks again and again until `condition` returns something truthy, and returns that.
 *
 * A condition that throws ends the wait with its error.
 *
 * @throws {@link ServiceError} `SERVICES_TIMED_OUT` when `timeoutMs` passes first.
 */
export async function waitUntil<T>(
  condition: () => T | Promise<T>,
  { description, timeoutMs = 30_000, intervalMs = 20 }: WaitUntilOptions,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() >= deadline) {
      throw new ServiceError(
        "SERVICES_TIMED_OUT",
        `Waited ${timeoutMs} ms in vain until ${description}.`,
      );
    }
    await sleep(intervalMs);
  }
}
