import { parseOptions } from "@millrace/core";
import * as z from "zod";
import type { TenantDepth } from "./gate/gate.ts";

/** Depth of a queue. */
export interface QueueStatus {
  role: string;
  /** Waiting behind the gate. */
  staged: number;
  /** Admitted and not yet taken by a worker. */
  admitted: number;
  /** In the hands of workers. */
  running: number;
  /** Waiting for a retry, for a due time, or for a callback. */
  delayed: number;
  /** Dead letters. */
  failed: number;
  /** Age of the oldest task that is first in its tenant's line, in milliseconds. */
  oldestAgeMs: number;
  /** Tenants with anything staged or held. */
  tenants: TenantDepth[];
}

/** The depth that BullMQ's counts and the gate's tell together; the role is filled in by the queue. */
export function queueDepth(
  counts: Readonly<Record<string, number>>,
  tenants: TenantDepth[],
  now = Date.now(),
): QueueStatus {
  const staged = tenants.reduce((sum, tenant) => sum + tenant.staged, 0);
  const oldestAt = Math.min(
    ...tenants.map((tenant) => tenant.oldestAt ?? Number.POSITIVE_INFINITY),
  );
  return {
    role: "",
    staged,
    admitted: (counts["wait"] ?? 0) + (counts["prioritized"] ?? 0),
    running: counts["active"] ?? 0,
    delayed: Math.max(0, (counts["delayed"] ?? 0) - staged),
    failed: counts["failed"] ?? 0,
    oldestAgeMs: Number.isFinite(oldestAt) ? Math.max(0, now - oldestAt) : 0,
    tenants,
  };
}

/** Depths of partitions as one. */
export function sumDepths(role: string, depths: readonly QueueStatus[]): QueueStatus {
  const sum = (read: (depth: QueueStatus) => number) =>
    depths.reduce((total, depth) => total + read(depth), 0);
  return {
    role,
    staged: sum(({ staged }) => staged),
    admitted: sum(({ admitted }) => admitted),
    running: sum(({ running }) => running),
    delayed: sum(({ delayed }) => delayed),
    failed: sum(({ failed }) => failed),
    oldestAgeMs: Math.max(0, ...depths.map(({ oldestAgeMs }) => oldestAgeMs)),
    tenants: depths.flatMap(({ tenants }) => tenants),
  };
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

const desiredWorkersOptionsSchema = z.strictObject({
  concurrency: z.number().positive(),
  min: z.number().nonnegative().optional(),
  max: z.union([z.number().nonnegative(), z.literal(Number.POSITIVE_INFINITY)]).optional(),
});

/** Tasks that could run now: what a tenant has staged beyond its cap does not count. */
function admissibleTasks(tenants: readonly TenantDepth[]): number {
  let tasks = 0;
  for (const { staged, held, maxConcurrent, isPaused } of tenants) {
    tasks += held;
    if (!isPaused) tasks += Math.min(staged, Math.max(0, maxConcurrent - held));
  }
  return tasks;
}

/** @throws {@link MillraceError} `CONFIG_INVALID` for numbers that give no number of workers. */
export function assertDesiredWorkersOptions(options: DesiredWorkersOptions): void {
  parseOptions(desiredWorkersOptionsSchema, options, "desiredWorkers");
}

/** How many worker processes the admissible backlog keeps busy. */
export function desiredWorkers(
  tenants: readonly TenantDepth[],
  options: DesiredWorkersOptions,
): number {
  assertDesiredWorkersOptions(options);
  const { concurrency, min = 0, max = Number.POSITIVE_INFINITY } = options;
  return Math.min(max, Math.max(min, Math.ceil(admissibleTasks(tenants) / concurrency)));
}
