import type { TaskEnvelope } from "../task.ts";

/** What the gate needs to know of a task. */
export interface GateTask {
  readonly taskId: string;
  readonly tenantId: string;
  /** BullMQ's number: 1 is the most urgent. */
  readonly priority: number;
  /** Place in its tenant's line once it has one; it returns there. */
  place: number | undefined;
  /** Start that its slot was granted for. */
  grantedFor: number | undefined;
  /** Month against which it counts. */
  month: string | undefined;
}

/** Where a task is. */
export type RecordState =
  | "staged"
  | "ready"
  | "running"
  | "backing-off"
  | "awaiting-callback"
  | "awaiting-children"
  | "completed"
  | "failed";

/** BullMQ's words for where a task is. */
export const BULLMQ_STATES: Readonly<Record<RecordState, string>> = {
  staged: "delayed",
  ready: "prioritized",
  running: "active",
  "backing-off": "delayed",
  "awaiting-callback": "delayed",
  "awaiting-children": "waiting-children",
  completed: "completed",
  failed: "failed",
};

/** A callback that was delivered. */
interface TakenCallback {
  tokenHash: string;
  payload: string;
}

/** Another task of which this one is a child. */
export interface ParentLink {
  id: string;
  /** Qualified name of its queue. */
  queue: string;
}

/** A child as its parent knows it. */
export interface Child {
  /** Whether it runs, or one of its own children does. */
  isRunning(): boolean;
  remove(): void;
}

/** A task as a backend in memory keeps it. */
export interface TaskRecord extends GateTask {
  envelope: TaskEnvelope;
  readonly attempts: number;
  readonly addedAt: number;
  readonly parent: ParentLink | undefined;
  state: RecordState;
  attemptsMade: number;
  attemptsStarted: number;
  defers: number;
  /** Starts that ended in order without ending the task. */
  putOffs: number;
  progress: unknown;
  result: unknown;
  failedReason: string | undefined;
  finishedAt: number | undefined;
  /** What will wake it; taken back when something else does. */
  cancelTimer: () => void;
  /** Fires the signal of its run. */
  abortRun: ((reason: string) => void) | undefined;
  isCancelled: boolean;
  awaited: { tokenHash: string; deadlineAt: number } | undefined;
  readonly callbacks: Map<string, TakenCallback>;
  /** Children that are not done. */
  readonly children: Map<string, Child>;
  readonly childResults: Map<string, unknown>;
  readonly childFailures: Map<string, string>;
}

/** A task that was just added. */
export function newRecord(
  given: Pick<
    TaskRecord,
    "taskId" | "tenantId" | "priority" | "envelope" | "attempts" | "addedAt" | "parent"
  >,
): TaskRecord {
  return {
    ...given,
    place: undefined,
    grantedFor: undefined,
    month: undefined,
    state: "staged",
    attemptsMade: 0,
    attemptsStarted: 0,
    defers: 0,
    putOffs: 0,
    progress: 0,
    result: null,
    failedReason: undefined,
    finishedAt: undefined,
    cancelTimer: () => {},
    abortRun: undefined,
    isCancelled: false,
    awaited: undefined,
    callbacks: new Map(),
    children: new Map(),
    childResults: new Map(),
    childFailures: new Map(),
  };
}
