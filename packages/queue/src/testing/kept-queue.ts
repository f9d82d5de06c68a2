import type { DeliveredCallback, StageOutcome, TenantDepth } from "../gate/gate.ts";
import type { GateKeys } from "../gate/gate-keys.ts";
import type { TenantLimits } from "../gate/tenant-limits.ts";
import { Admissions } from "./admissions.ts";
import { type CallbackInHand, takeCallback } from "./awaited-callbacks.ts";
import type { ManualClock } from "./fake-clock.ts";
import type { FairGate } from "./fair-gate.ts";
import { Family, isRunning } from "./family.ts";
import { FinishedTasks } from "./finished-tasks.ts";
import { ScheduleTable } from "./schedule-table.ts";
import { redriven } from "../task.ts";
import { newRecord, type TaskRecord } from "./task-record.ts";

/** What a queue's tasks are and where they stand: in place of what Redis would keep of it. */
export class KeptQueue {
  readonly keys: GateKeys;
  readonly clock: ManualClock;
  readonly tasks = new Map<string, TaskRecord>();
  readonly schedules: ScheduleTable;
  /** What deduplication windows answer, by tenant and key. */
  readonly once = new Map<string, { taskId: string; until: number }>();
  readonly finished = new FinishedTasks((task) => this.remove(task));
  readonly admissions: Admissions;
  readonly #family: Family;

  constructor(
    keys: GateKeys,
    clock: ManualClock,
    queueNamed: (qualifiedName: string) => KeptQueue | undefined,
  ) {
    this.keys = keys;
    this.clock = clock;
    this.schedules = new ScheduleTable(clock);
    this.#family = new Family(queueNamed);
    this.admissions = new Admissions(clock);
  }

  add(
    given: Parameters<typeof newRecord>[0],
    request: { limits: TenantLimits; dueAt: number | undefined; month: string },
  ): StageOutcome {
    const known = this.tasks.get(given.taskId);
    if (known && known.tenantId !== given.tenantId) return "other-tenant";
    if (known) return known.state === "staged" ? "known" : "past-staging";
    this.#family.assertParent(given.parent);
    const task = newRecord(given);
    const outcome = this.#gate.stage(task, request);
    if (outcome !== "staged") return outcome;
    this.tasks.set(task.taskId, task);
    this.#family.join(task, () => this.remove(task));
    this.#gate.feedFor(task.tenantId);
    this.admissions.comeToRest();
    return outcome;
  }

  /** BullMQ's name of it. */
  get qualifiedName(): string {
    return this.keys.bullmq.slice(0, -1);
  }

  /** The next task to run, or undefined. */
  take(): TaskRecord | undefined {
    const task = this.admissions.take();
    if (!task) return undefined;
    task.state = "running";
    task.attemptsStarted++;
    this.#gate.feedIfHungry();
    this.admissions.comeToRest();
    return task;
  }

  /** Asks for a slot for a task that was not admitted for this start. */
  acquire(task: TaskRecord, limits: TenantLimits): boolean {
    return this.#gate.acquire(task, task.attemptsStarted, limits);
  }

  complete(task: TaskRecord, result: unknown): void {
    task.attemptsMade++;
    task.result = result;
    this.#end(task, "completed");
    this.#family.completed(task);
  }

  /** Ends a run that failed: the task waits for `retryInMs`, or is among the dead letters. */
  fail(task: TaskRecord, reason: string, retryInMs: number | undefined): void {
    task.attemptsMade++;
    task.failedReason = reason;
    if (retryInMs === undefined) {
      this.#end(task, "failed");
      this.#family.failed(task, reason);
      return;
    }
    task.state = "backing-off";
    this.admissions.enqueueAt(task, this.clock.now() + retryInMs);
    this.#gate.settle(task, task.attemptsStarted);
    this.admissions.comeToRest();
  }

  /** Ends a cancelled run: nothing of it is kept. */
  endCancelled(task: TaskRecord, reason: string): void {
    this.tasks.delete(task.taskId);
    this.#gate.settle(task, task.attemptsStarted);
    this.#family.failed(task, reason);
    this.admissions.comeToRest();
  }

  /** Puts a running task back behind the gate at its place, at once or when it is due. */
  giveBack(task: TaskRecord, limits: TenantLimits, dueAt?: number): void {
    task.state = "staged";
    this.#gate.stage(task, { limits, dueAt });
    this.#gate.feedIfHungry();
    this.admissions.comeToRest();
  }

  /** Lets a running task wait for its children, or puts it back when all are done. */
  awaitChildren(task: TaskRecord, limits: TenantLimits): void {
    if (task.children.size === 0) {
      this.giveBack(task, limits);
      return;
    }
    task.state = "awaiting-children";
    this.#gate.settle(task, task.attemptsStarted);
    this.admissions.comeToRest();
  }

  childrenEnded(task: TaskRecord): void {
    if (task.state !== "awaiting-children") return;
    this.admissions.enqueue(task);
    this.admissions.comeToRest();
  }

  /** Lets a running task wait for its callback or the deadline. */
  awaitCallback(
    task: TaskRecord,
    wait: { dispatchKey: string; deadlineAt: number; releaseSlot: boolean },
  ): void {
    task.state = "awaiting-callback";
    if (wait.releaseSlot) this.#gate.release(task);
    else if (this.#gate.holds(task)) task.grantedFor = task.attemptsStarted + 1;
    if (task.callbacks.has(wait.dispatchKey)) this.admissions.enqueue(task, true);
    else this.admissions.enqueueAt(task, wait.deadlineAt);
    this.#gate.feedIfHungry();
    this.admissions.comeToRest();
  }

  /** Delivers a callback to the task that awaits it. */
  resume(callback: CallbackInHand): DeliveredCallback {
    const task = this.tasks.get(callback.jobId);
    if (!task) return { outcome: "missing" };
    const delivered = takeCallback(task, callback);
    if (delivered.outcome === "delivered" && task.state === "awaiting-callback") {
      this.admissions.enqueue(task, true);
      this.admissions.comeToRest();
    }
    return delivered;
  }

  /** Ends a task. @returns false when it had finished, or was never there. */
  cancel(taskId: string, reason: string): boolean {
    const task = this.tasks.get(taskId);
    if (!task || task.finishedAt !== undefined) return false;
    if (isRunning(task)) {
      // A parent ends when its children have.
      task.isCancelled = true;
      task.abortRun?.(reason);
    } else this.remove(task);
    return true;
  }

  /** Forgets a task that does not run, with its children. */
  remove(task: TaskRecord): void {
    this.tasks.delete(task.taskId);
    for (const child of task.children.values()) child.remove();
    if (task.finishedAt === undefined) {
      this.admissions.drop(task);
      this.#family.gone(task);
    }
    this.admissions.comeToRest();
  }

  /** Runs a failed task again with fresh tries, through the gate. */
  redrive(task: TaskRecord): void {
    task.envelope = redriven(task.envelope);
    task.attemptsMade = 0;
    task.putOffs = task.attemptsStarted;
    task.defers = 0;
    task.awaited = undefined;
    task.finishedAt = undefined;
    task.failedReason = undefined;
    this.admissions.enqueue(task);
    this.admissions.comeToRest();
  }

  configureTenant(tenantId: string, change: Parameters<FairGate["configure"]>[1]): void {
    this.#gate.configure(tenantId, change);
    this.admissions.comeToRest();
  }

  depths(): TenantDepth[] {
    return this.#gate.depths(({ taskId }) => this.tasks.get(taskId)?.addedAt ?? 0);
  }

  /** Forgets everything. */
  clear(): void {
    for (const task of this.tasks.values()) task.cancelTimer();
    this.tasks.clear();
    this.once.clear();
    this.schedules.clear();
    this.admissions.clear();
  }

  get #gate(): FairGate {
    return this.admissions.gate;
  }

  #end(task: TaskRecord, state: "completed" | "failed"): void {
    task.state = state;
    task.finishedAt = this.clock.now();
    this.finished.add(task);
    this.#gate.settle(task, task.attemptsStarted);
    this.admissions.comeToRest();
  }
}
