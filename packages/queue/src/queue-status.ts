import type { TenantDepth } from "./gate/gate.ts";

/** Depth of a queue. */
export interface QueueStatus {
  role: string;
  /** Waiting behind the gate. */
  staged: number;
  /** Admitted and not yet taken by a worker. */
  admitted: number;
  running: number;
  /** Waiting for a retry, for a due time, or for a callback. */
  delayed: number;
  failed: number;
  /** Age of the oldest task that is first in its tenant's line, in milliseconds. */
  oldestAgeMs: number;
  /** Tenants with anything staged or held. */
  tenants: TenantDepth[];
}

/** What {@link desiredWorkers} needs to know of a fleet. */
export interface DesiredWorkersOptions {
  /** Tasks that one worker process runs at once. */
  concurrency: number;
  /** @default 0 */
  min?: number | undefined;
  /** @default no bound */
  max?: number | undefined;
}

/** Tasks that could run now: what a tenant has staged beyond its cap does not count. */
function admissibleTasks(tenants: readonly TenantDepth[]): number {
  let tasks = 0;
  for (const { staged, held, maxConcurrent, isPaused } of tenants) {
    tasks += held;
    if (!isPaused) tasks += Math.min(staged, Math.max(0, maxConcurrent - held));
  }
  return tasks;
}

/** How many worker processes the admissible backlog keeps busy. */
export function desiredWorkers(
  tenants: readonly TenantDepth[],
  { concurrency, min = 0, max = Number.POSITIVE_INFINITY }: DesiredWorkersOptions,
): number {
  return Math.min(max, Math.max(min, Math.ceil(admissibleTasks(tenants) / concurrency)));
}
