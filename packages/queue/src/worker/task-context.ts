import type { Logger } from "@millrace/core";
import type { CallbackRegistration } from "../callbacks/callbacks.ts";
import type { TenantAllocation } from "../tenants/tenant-allocation.ts";
import type { Children } from "./children.ts";

/** One task as a handler sees it. */
export interface Task<Input> {
  /** Unique in its queue. */
  taskId: string;
  /** Whose task it is. */
  tenantId: string;
  /** Role of the queue that it came from. */
  role: string;
  /** What was added, as the queue's `input` schema gives it. */
  data: Input;
  /** Try, the first is 1. */
  attempt: number;
  /**
   * Start, the first is 1; grows with every execution, crashed ones included. Pass it to the outside
   * as a fencing number: of two executions of one task the higher one is right.
   */
  fence: number;
  /** What the tenant may do, with its model and adapter overrides. */
  allocation: TenantAllocation;
  /** What it was added with; in every line of `context.logger`. */
  labels: Readonly<Record<string, string>>;
  /** W3C trace context of the `add`. */
  traceparent: string | undefined;
}

/** Options of {@link TaskContext.awaitCallback}. */
export interface AwaitCallbackOptions {
  /** How long to wait, in milliseconds. @default 3_600_000 */
  timeoutMs?: number | undefined;
  /** Lets the tenant run another task meanwhile: for people's approvals. @default false */
  releaseSlot?: boolean | undefined;
}

/** What a handler works with. */
export interface TaskContext {
  /** Fires when the run must stop: time is up, the process ends, or its lock is lost. */
  signal: AbortSignal;
  /** Carries tenantId, taskId, agentRole, traceId and the task's labels. */
  logger: Logger;
  /** Stores progress that `queue.get` and dashboards show; it stays when the task is run again. */
  progress: (value: object | number) => Promise<void>;
  /**
   * Puts the task off without counting an attempt; it keeps its place in its line. Never returns: let
   * what it throws pass.
   */
  defer: (delayMs: number) => never;
  /**
   * Hands the task to an external runtime and waits for its callback without a worker: the first run
   * registers the callback, calls `dispatch` and ends there (let what it throws pass); the handler is
   * run again with the callback, and gets its payload here. The n-th call of one run and the n-th call
   * of the next are the same callback.
   *
   * @throws {@link MillraceError} `QUEUE_CALLBACK_TIMED_OUT` after the deadline: counts as a try.
   */
  awaitCallback: <Payload = unknown>(
    dispatch: (registration: CallbackRegistration) => Promise<void>,
    options?: AwaitCallbackOptions,
  ) => Promise<Payload>;
  /** Tasks that this task decomposes into. */
  children: Children;
}

/** Does one task and gives its result. */
export type TaskHandler<Input, Output> = (
  task: Task<Input>,
  context: TaskContext,
) => Promise<Output>;
