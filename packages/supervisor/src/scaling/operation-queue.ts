import { randomUUID } from "node:crypto";
import { messageOf, MillraceError } from "@millrace/core";
import type { SupervisorErrorCode } from "../errors.ts";
import { type Clock, timestamp } from "../host/clock.ts";
import type {
  Operation,
  OperationKind,
  OperationState,
  OperationStatus,
  RolloutFailure,
} from "./operation.ts";

/** What the work of an operation gets. */
export interface OperationContext {
  /** Fires when it is superseded or cancelled; the work then rejects with its reason. */
  signal: AbortSignal;
  progress: (done: number, total: number, message: string) => void;
}

/** The work of an operation. */
export type OperationWork = (context: OperationContext) => Promise<void>;

const SUPERSEDED: Readonly<Record<OperationKind, readonly OperationKind[]>> = {
  start: ["start", "stop"],
  stop: ["start", "stop", "scale", "restart", "rollout", "rollback", "canary"],
  scale: ["scale"],
  restart: ["restart"],
  rollout: ["rollout", "rollback", "restart"],
  rollback: ["rollout", "rollback", "restart"],
  canary: [],
};

/** Runs the operations of one process one after the other; newer ones supersede older ones. */
export class OperationQueue {
  readonly #process: string;
  readonly #clock: Clock;
  readonly #onChange: (status: OperationStatus) => void;
  #tail: Promise<unknown> = Promise.resolve();
  readonly #unfinished = new Set<QueuedOperation>();
  #isClosed = false;

  constructor(process: string, clock: Clock, onChange: (status: OperationStatus) => void) {
    this.#process = process;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** The kind of operation that runs or waits, if any. */
  get activeKinds(): OperationKind[] {
    return [...this.#unfinished].map(({ kind }) => kind);
  }

  submit(kind: OperationKind, instance: string | undefined, work: OperationWork): Operation {
    for (const older of this.#unfinished) {
      const covers = instance === undefined || older.instance === instance;
      if (covers && SUPERSEDED[kind].includes(older.kind)) older.end("superseded");
    }
    const operation = new QueuedOperation(this.#process, kind, instance, {
      clock: this.#clock,
      onChange: this.#onChange,
    });
    if (this.#isClosed) {
      operation.cancel();
      return operation;
    }
    this.#unfinished.add(operation);
    this.#tail = this.#runAfter(this.#tail, operation, work);
    return operation;
  }

  async #runAfter(
    previous: Promise<unknown>,
    operation: QueuedOperation,
    work: OperationWork,
  ): Promise<void> {
    await previous;
    await operation.run(work);
    this.#unfinished.delete(operation);
  }

  /** Cancels everything, now and from now on, and waits until no work runs. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const operation of this.#unfinished) operation.cancel();
    await this.#tail;
  }
}

class QueuedOperation implements Operation {
  readonly id = randomUUID();
  readonly kind: OperationKind;
  readonly instance: string | undefined;
  readonly done: Promise<OperationStatus>;
  readonly #process: string;
  readonly #onChange: (status: OperationStatus) => void;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  readonly #createdAt: string;
  #resolveDone: (status: OperationStatus) => void = () => {};
  #state: OperationState = "pending";
  #progress = { done: 0, total: 0, message: "" };
  #endedAt: string | undefined;
  #error: OperationStatus["error"];

  constructor(
    process: string,
    kind: OperationKind,
    instance: string | undefined,
    owner: { clock: Clock; onChange: (status: OperationStatus) => void },
  ) {
    this.#process = process;
    this.kind = kind;
    this.instance = instance;
    this.#onChange = owner.onChange;
    this.#clock = owner.clock;
    this.#createdAt = timestamp(owner.clock);
    this.done = new Promise((resolve) => {
      this.#resolveDone = resolve;
    });
  }

  status(): OperationStatus {
    return {
      id: this.id,
      process: this.#process,
      instance: this.instance,
      kind: this.kind,
      state: this.#state,
      ...this.#progress,
      createdAt: this.#createdAt,
      endedAt: this.#endedAt,
      error: this.#error,
    };
  }

  cancel(): void {
    this.end("cancelled");
  }

  /** Ends it early; the caller hears of it at once, the next operation waits for the work. */
  end(state: "superseded" | "cancelled"): void {
    if (this.#endedAt !== undefined) return;
    this.#settle(state);
    this.#abort.abort(
      new MillraceError<SupervisorErrorCode>(
        "SUPERVISOR_OPERATION_ENDED",
        `the operation was ${state}: what it had done by then stays`,
      ),
    );
  }

  async run(work: OperationWork): Promise<void> {
    if (this.#endedAt !== undefined) return;
    this.#state = "running";
    this.#onChange(this.status());
    try {
      await work({
        signal: this.#abort.signal,
        progress: (done, total, message) => {
          this.#progress = { done, total, message };
          if (this.#endedAt === undefined) this.#onChange(this.status());
        },
      });
      this.#settle("succeeded");
    } catch (error) {
      const code = MillraceError.is(error) ? error.code : "INTERNAL";
      this.#error = { code, message: messageOf(error), ...rolloutFailure(error) };
      this.#settle("failed");
    }
  }

  #settle(state: OperationState): void {
    if (this.#endedAt !== undefined) return;
    this.#state = state;
    this.#endedAt = timestamp(this.#clock);
    const status = this.status();
    this.#resolveDone(status);
    this.#onChange(status);
  }
}

function rolloutFailure(error: unknown): { reason?: RolloutFailure } {
  if (!MillraceError.is(error) || error.code !== "SUPERVISOR_ROLLED_BACK") return {};
  const { reason } = error.details;
  return reason === undefined ? {} : { reason: reason as RolloutFailure };
}
