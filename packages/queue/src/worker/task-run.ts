import { defaultLogger, type Logger, MillraceError, messageOf } from "@millrace/core";
import { UnrecoverableError } from "bullmq";
import { queueError } from "../errors.ts";
import type { RegisteredCallback } from "../gate/gate.ts";
import { type StandardSchema, validate } from "../standard-schema.ts";
import type { TaskEnvelope } from "../task.ts";
import type { TenantAllocation } from "../tenants/tenant-allocation.ts";
import { inSpan, SpanKind, traceIdOf } from "../tracing.ts";
import type { Children } from "./children.ts";
import { PutOff } from "./put-off.ts";
import type { AwaitCallbackOptions, Task, TaskContext } from "./task-context.ts";
import type { ResolvedQueueWorkerOptions } from "./worker-options.ts";

const DEFAULT_CALLBACK_TIMEOUT_MS = 3_600_000;

/** A run as the queue that keeps its task sees it. */
export interface KeptRun {
  readonly taskId: string;
  /** Tries before this one. */
  readonly attemptsMade: number;
  /** Starts, this one included. */
  readonly attemptsStarted: number;
  readonly children: Children;
  now(): number;
  updateProgress(value: object | number): Promise<void>;
  registerCallback(dispatch: {
    jobId: string;
    dispatchKey: string;
    tokenHash: string;
    deadlineAt: number;
  }): Promise<RegisteredCallback>;
  /** A signal that fires after so many milliseconds. */
  timeout(timeoutMs: number): AbortSignal;
}

export interface TaskRunParts {
  run: KeptRun;
  envelope: TaskEnvelope;
  allocation: TenantAllocation;
  options: ResolvedQueueWorkerOptions;
  /** Fires on lock loss and cancellation, with the reason. */
  signal: AbortSignal;
  /** Fires when the process gives its tasks back. */
  shutdown: AbortSignal;
}

/**
 * One execution of a handler: checked input, a signal for every reason to stop, checked output.
 *
 * @throws {@link PutOff} to give the task back, `UnrecoverableError` for what no retry mends.
 */
export function runTask(parts: TaskRunParts): Promise<unknown> {
  const { run, envelope, options } = parts;
  const attributes = {
    "millrace.tenant_id": envelope.tenantId,
    "millrace.agent_role": options.queue.role,
    "millrace.task_id": run.taskId,
    "millrace.fence": run.attemptsStarted,
  };
  return inSpan("millrace.task", attributes, () => execute(parts), {
    parent: envelope.traceparent,
    kind: SpanKind.CONSUMER,
  });
}

async function execute(parts: TaskRunParts): Promise<unknown> {
  const { run, envelope, options, allocation } = parts;
  const { queue } = options;
  const input = queue.options.input
    ? await check("millrace.validate_input", queue.options.input, envelope.data)
    : { value: envelope.data };
  if ("problems" in input) {
    // What is stored does not change: a retry would fail the same way.
    throw new UnrecoverableError(`QUEUE_INPUT_INVALID: ${input.problems.join("; ")}`);
  }
  const task: Task<unknown> = {
    taskId: run.taskId,
    tenantId: envelope.tenantId,
    role: queue.role,
    data: input.value,
    attempt: run.attemptsMade + 1,
    fence: run.attemptsStarted,
    allocation,
    labels: envelope.labels ?? {},
    traceparent: envelope.traceparent,
  };
  const timeout = options.timeoutMs > 0 ? run.timeout(options.timeoutMs) : undefined;
  const context = createContext(parts, task, timeout);
  const handled = Promise.resolve().then(() => options.handler(task, context));
  const result = await raceSignals(handled, parts, timeout);
  if (!queue.options.output) return result;
  const output = await check("millrace.validate_output", queue.options.output, result);
  if ("problems" in output) {
    throw queueError(
      "QUEUE_OUTPUT_INVALID",
      `the handler of ${queue.role} returned something else than its schema says (${output.problems.join("; ")}): mend the handler, or createQueue's output`,
    );
  }
  return output.value;
}

/** Validates in a span of its own. */
function check(span: string, schema: StandardSchema<unknown>, value: unknown) {
  return inSpan(span, {}, () => validate(schema, value));
}

function createContext(
  parts: TaskRunParts,
  task: Task<unknown>,
  timeout: AbortSignal | undefined,
): TaskContext {
  const { run } = parts;
  let callbacksAwaited = 0;
  let signal: AbortSignal | undefined;
  let logger: Logger | undefined;
  return {
    // Made when first asked for: together they cost as much as the rest of a run that does nothing.
    get signal() {
      const sources = [parts.signal, parts.shutdown, ...(timeout ? [timeout] : [])];
      return (signal ??= AbortSignal.any(sources));
    },
    get logger() {
      return (logger ??= taskLogger(parts, task));
    },
    progress: (value) => run.updateProgress(value),
    children: run.children,
    defer(delayMs) {
      if (!Number.isFinite(delayMs))
        throw new TypeError(`defer needs milliseconds, not ${delayMs}`);
      throw new PutOff({ kind: "defer", delayMs });
    },
    async awaitCallback<Payload>(
      dispatch: Parameters<TaskContext["awaitCallback"]>[0],
      options?: AwaitCallbackOptions,
    ) {
      callbacksAwaited++;
      // A dead letter that is run again begins with try 1 again; what it awaited then is past.
      const { redrives } = parts.envelope;
      const life = redrives === undefined ? "" : `${redrives}r`;
      const dispatchKey = `${life}${task.attempt}.${callbacksAwaited}`;
      return (await awaitCallback(parts, task, dispatchKey, dispatch, options)) as Payload;
    },
  };
}

async function awaitCallback(
  { options, run }: TaskRunParts,
  { role, taskId, fence }: Task<unknown>,
  dispatchKey: string,
  dispatch: Parameters<TaskContext["awaitCallback"]>[0],
  { timeoutMs = DEFAULT_CALLBACK_TIMEOUT_MS, releaseSlot = false }: AwaitCallbackOptions = {},
): Promise<unknown> {
  const { callbacks } = options;
  if (callbacks === undefined) {
    throw new TypeError("awaitCallback needs the worker's `callbacks` option");
  }
  if (!(Number.isFinite(timeoutMs) && timeoutMs > 0)) {
    throw new TypeError(`awaitCallback needs a timeoutMs above 0, not ${timeoutMs}`);
  }
  const { url, tokenHash } = callbacks.tokenFor(role, taskId, dispatchKey);
  const registered = await run.registerCallback({
    jobId: taskId,
    dispatchKey,
    tokenHash,
    deadlineAt: run.now() + timeoutMs,
  });
  if (registered.outcome === "answered") return JSON.parse(registered.payload) as unknown;
  if (registered.outcome === "timed-out") {
    throw queueError(
      "QUEUE_CALLBACK_TIMED_OUT",
      `no callback for task ${taskId} within ${timeoutMs} ms: ask the runtime, or allow more time`,
      { details: { taskId, timeoutMs }, retryable: true },
    );
  }
  const { deadlineAt } = registered;
  const idempotencyKey = `${taskId}:${dispatchKey}`;
  await inSpan("millrace.dispatch", { "millrace.idempotency_key": idempotencyKey }, () =>
    dispatch({ url, idempotencyKey, deadlineAt, fence }),
  );
  throw new PutOff({ kind: "callback", dispatchKey, deadlineAt, releaseSlot });
}

function taskLogger({ options, envelope }: TaskRunParts, task: Task<unknown>): Logger {
  return (options.logger ?? defaultLogger()).child({
    ...task.labels,
    tenantId: task.tenantId,
    taskId: task.taskId,
    agentRole: task.role,
    traceId: traceIdOf(envelope.traceparent),
  });
}

/** The handler's end, or the first reason not to wait for it. */
function raceSignals(
  handled: Promise<unknown>,
  { signal, shutdown, options, run }: TaskRunParts,
  timeout: AbortSignal | undefined,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const cleanups: Array<() => void> = [];
    const end = (settle: () => void) => {
      for (const cleanup of cleanups) cleanup();
      settle();
    };
    const endOn = (source: AbortSignal, toError: () => Error) => {
      const listener = () => end(() => reject(toError()));
      source.addEventListener("abort", listener);
      cleanups.push(() => source.removeEventListener("abort", listener));
      if (source.aborted) listener();
    };
    endOn(shutdown, () => new PutOff({ kind: "shutdown" }));
    endOn(signal, () => asError(signal.reason));
    if (timeout) {
      endOn(timeout, () =>
        queueError(
          "QUEUE_TASK_TIMED_OUT",
          `task ${run.taskId} ran longer than ${options.timeoutMs} ms: raise timeoutMs or stop sooner on context.signal`,
        ),
      );
    }
    // A handler that ends after its run was given up has nobody left to tell.
    handled.then(
      (result) => end(() => resolve(result)),
      (error: unknown) => end(() => reject(thrownBy(error))),
    );
  });
}

/** BullMQ looks into what a run throws: nothing but an error ends it. */
function thrownBy(error: unknown): Error {
  if (error instanceof Error) return error;
  const isWorded = typeof error === "object" && error !== null && "message" in error;
  const text = String(isWorded ? error.message : error);
  return new Error(`the handler threw what is no Error: ${text}`, { cause: error });
}

function asError(reason: unknown): Error {
  return reason instanceof Error || MillraceError.is(reason)
    ? reason
    : new Error(messageOf(reason ?? "the run was cancelled"));
}
