import { type Logger, type MetricsRegistry, parseOptions, type Pressure } from "@millrace/core";
import * as z from "zod";
import type { Callbacks } from "../callbacks/callbacks.ts";
import { LONGEST_TIMER_MS } from "../longest-timer.ts";
import type { Queue } from "../queue.ts";
import type { TaskHandler } from "./task-context.ts";

/** Options of {@link createQueueWorker}. */
export interface QueueWorkerOptions<Input, Output> {
  /** A started queue. */
  queue: Queue<Input, Output>;
  /** Does one task. Called again for a task whose run did not end. */
  handler: TaskHandler<Input, Output>;
  /** Tasks that this process runs at once, of each partition that it serves. @default 4 */
  concurrency?: number | undefined;
  /** Numbers of the queue's partitions to serve. @default all, also those left by an earlier number of them */
  partitions?: number[] | undefined;
  /** Time a run may take before its signal fires and it counts as failed, in milliseconds, 0 no limit, up to 24 days. @default 0 */
  timeoutMs?: number | undefined;
  /** How long a run survives the silence of its process, in milliseconds. @default 30_000 */
  lockDurationMs?: number | undefined;
  /** How often runs of dead processes are looked for, in milliseconds. @default 15_000 */
  stalledIntervalMs?: number | undefined;
  /** Starts of one task, crashed ones included and put-off ones not, after which it fails. @default 25 */
  maxStarts?: number | undefined;
  /** Times a task may be put off by rate limits before it fails. @default 100 */
  maxDefers?: number | undefined;
  /** How often the gate's books are compared with BullMQ's truth, in milliseconds. @default 5_000 */
  reconcileIntervalMs?: number | undefined;
  /** Takes no new task while this is closed. */
  pressure?: Pressure | undefined;
  /** Needed by handlers that await a callback. */
  callbacks?: Callbacks | undefined;
  /** pino-compatible. @default pino at `info` on stderr */
  logger?: Logger | undefined;
  /** @default the process's prom-client registry */
  metrics?: MetricsRegistry | undefined;
}

const custom = <Value extends object>(expected: string) =>
  z.custom<Value>((value) => typeof value === "object" && value !== null, `expected ${expected}`);

/** Validates {@link QueueWorkerOptions} and fills in defaults. */
export const queueWorkerOptionsSchema = z.strictObject({
  queue: custom<Queue>("what createQueue returned"),
  handler: z.custom<TaskHandler<unknown, unknown>>(
    (value) => typeof value === "function",
    "expected a function",
  ),
  concurrency: z.int().positive().default(4),
  partitions: z.array(z.int().nonnegative()).min(1).optional(),
  timeoutMs: z.int().nonnegative().max(LONGEST_TIMER_MS).default(0),
  lockDurationMs: z.int().min(500).max(LONGEST_TIMER_MS).default(30_000),
  stalledIntervalMs: z.int().positive().max(LONGEST_TIMER_MS).default(15_000),
  maxStarts: z.int().positive().default(25),
  maxDefers: z.int().positive().default(100),
  reconcileIntervalMs: z.int().positive().default(5_000),
  pressure: custom<Pressure>("what createPressure returned").optional(),
  callbacks: custom<Callbacks>("what createCallbacks returned").optional(),
  logger: z.custom<Logger>().optional(),
  metrics: z.custom<MetricsRegistry>().optional(),
});

/** @throws {@link MillraceError} `CONFIG_INVALID` for what is no number of tasks. */
export function assertConcurrency(concurrency: number): void {
  parseOptions(queueWorkerOptionsSchema.pick({ concurrency: true }), { concurrency }, "worker");
}

export type ResolvedQueueWorkerOptions = z.output<typeof queueWorkerOptionsSchema>;
