import { type Listener, type Logger, TypedEmitter } from "@millrace/core";
import type { WorkerCounters } from "../metrics.ts";

/** What a worker tells its listeners. */
export type QueueWorkerEvents = {
  /** When a task is done. */
  "task:completed": { taskId: string; tenantId: string; result: unknown };
  /** When a run failed; `isFinal` when there will be no other. */
  "task:failed": { taskId: string; tenantId: string; error: Error; isFinal: boolean };
  /** When a run was put off: `reason` is `slot`, `defer`, `shutdown`, `callback` or `children`. */
  "task:put-off": { taskId: string; tenantId: string; reason: string };
};

/** A task whose run ended. */
interface RunTask {
  readonly taskId: string;
  readonly tenantId: string;
}

/** How the runs of a worker end: counted, and told to whoever listens. */
export class WorkerOutcomes {
  readonly counters: WorkerCounters = {
    completed: 0,
    failed: 0,
    retried: 0,
    parked: 0,
    deferred: 0,
    cancelled: 0,
  };
  readonly #emitter: TypedEmitter<QueueWorkerEvents>;

  constructor(logger: Logger) {
    this.#emitter = new TypedEmitter((error) =>
      logger.error({ err: error }, "a worker listener threw"),
    );
  }

  on<Name extends keyof QueueWorkerEvents>(
    event: Name,
    listener: Listener<QueueWorkerEvents[Name]>,
  ): () => void {
    return this.#emitter.on(event, listener);
  }

  completed({ taskId, tenantId }: RunTask, result: unknown): void {
    this.counters.completed++;
    this.#emitter.emit("task:completed", { taskId, tenantId, result });
  }

  /** A cancelled run counts as that, whether it was the last or not. */
  failed(
    { taskId, tenantId }: RunTask,
    error: Error,
    { isFinal, isCancelled }: { isFinal: boolean; isCancelled: boolean },
  ): void {
    if (isCancelled) this.counters.cancelled++;
    else if (isFinal) this.counters.failed++;
    else this.counters.retried++;
    this.#emitter.emit("task:failed", { taskId, tenantId, error, isFinal });
  }

  putOff({ taskId, tenantId }: RunTask, reason: string): void {
    if (reason === "slot") this.counters.parked++;
    else if (reason === "defer" || reason === "shutdown") this.counters.deferred++;
    this.#emitter.emit("task:put-off", { taskId, tenantId, reason });
  }
}
