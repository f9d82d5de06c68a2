import type { DeliveredCallback, StageOutcome, TenantDepth } from "../gate/gate.ts";
import type { GateKeys } from "../gate/gate-keys.ts";
import type { TenantLimits } from "../gate/tenant-limits.ts";
import { type CallbackInHand, takeCallback } from "./awaited-callbacks.ts";
import type { ClassWeights } from "./class-turns.ts";
import type { ManualClock } from "./fake-clock.ts";
import { FairGate } from "./fair-gate.ts";
import { Family } from "./family.ts";
import { FinishedTasks } from "./finished-tasks.ts";
import { ReadyLine } from "./ready-line.ts";
import { ScheduleTable } from "./schedule-table.ts";
import { newRecord, type TaskRecord } from "./task-record.ts";
import { Takers } from "./takers.ts";

/** What a queue's tasks are and where they stand: in place of what Redis would keep of it. */
export class KeptQueue {
  readonly keys: GateKeys;
  readonly clock: ManualClock;
  readonly tasks = new Map<string, TaskRecord>();
  readonly schedules: ScheduleTable;
  /** What deduplication windows answer, by tenant and key. */
  readonly once = new Map<string, { taskId: string; until: number }>();
  readonly takers = new Takers();
  readonly finished = new FinishedTasks((task) => this.remove(task));
  readonly #family: Family;
  #line = new ReadyLine();
  #gate: FairGate;
  #cancelFeed: () => void = () => {};

  constructor(
    keys: GateKeys,
    clock: ManualClock,
    queueNamed: (qualifiedName: string) => KeptQueue | undefined,
  ) {
    this.keys = keys;
    this.clock = clock;
    this.schedules = new ScheduleTable(clock);
    this.#family = new Family(queueNamed);
    this.#gate = this.#newGate();
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
    this.#family.join(task, () => {
      if (task.state !== "running") this.remove(task);
    });
    this.#gate.feedFor(task.tenantId);
    this.#comeToRest();
    return outcome;
  }

  /** BullMQ's name of it. */
  get qualifiedName(): string {
    return this.keys.bullmq.slice(0, -1);
  }

  /** The next task to run, or undefined. */
  take(): TaskRecord | undefined {
    const task = this.#line.take();
    if (!task) return undefined;
    task.state = "running";
    task.attemptsStarted++;
    this.#gate.feedIfHungry();
    this.#comeToRest();
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
    this.#wakeAt(task, this.clock.now() + retryInMs);
    this.#gate.settle(task, task.attemptsStarted);
    this.#comeToRest();
  }

  /** Ends a cancelled run: nothing of it is kept. */
  endCancelled(task: TaskRecord, reason: string): void {
    this.tasks.delete(task.taskId);
    this.#gate.settle(task, task.attemptsStarted);
    this.#family.failed(task, reason);
    this.#comeToRest();
  }

  /** Puts a running task back behind the gate at its place, at once or when it is due. */
  giveBack(task: TaskRecord, limits: TenantLimits, dueAt?: number): void {
    task.state = "staged";
    this.#gate.stage(task, { limits, dueAt });
    this.#gate.feedIfHungry();
    this.#comeToRest();
  }

  /** Lets a running task wait for its children, or puts it back when all are done. */
  awaitChildren(task: TaskRecord, limits: TenantLimits): void {
    if (task.children.size === 0) {
      this.giveBack(task, limits);
      return;
    }
    task.state = "awaiting-children";
    this.#gate.settle(task, task.attemptsStarted);
    this.#comeToRest();
  }

  childrenEnded(task: TaskRecord): void {
    if (task.state !== "awaiting-children") return;
    this.#enqueue(task, false);
    this.#comeToRest();
  }

  /** Lets a running task wait for its callback or the deadline. */
  awaitCallback(
    task: TaskRecord,
    wait: { dispatchKey: string; deadlineAt: number; releaseSlot: boolean },
  ): void {
    task.state = "awaiting-callback";
    if (wait.releaseSlot) this.#gate.release(task);
    else if (this.#gate.holds(task)) task.grantedFor = task.attemptsStarted + 1;
    if (task.callbacks.has(wait.dispatchKey)) this.#enqueue(task, true);
    else this.#wakeAt(task, wait.deadlineAt);
    this.#gate.feedIfHungry();
    this.#comeToRest();
  }

  /** Delivers a callback to the task that awaits it. */
  resume(callback: CallbackInHand): DeliveredCallback {
    const task = this.tasks.get(callback.jobId);
    if (!task) return { outcome: "missing" };
    const delivered = takeCallback(task, callback);
    if (delivered.outcome === "delivered" && task.state === "awaiting-callback") {
      this.#enqueue(task, true);
      this.#comeToRest();
    }
    return delivered;
  }

  /** Ends a task. @returns false when it had finished, or was never there. */
  cancel(taskId: string, reason: string): boolean {
    const task = this.tasks.get(taskId);
    if (!task || task.finishedAt !== undefined) return false;
    if (task.state === "running") {
      task.isCancelled = true;
      task.abortRun?.(reason);
    } else this.remove(task);
    return true;
  }

  /** Forgets a task that does not run, and those of its children that do not. */
  remove(task: TaskRecord): void {
    task.cancelTimer();
    this.#line.leave(task);
    this.tasks.delete(task.taskId);
    for (const removeChild of task.children.values()) removeChild();
    if (task.finishedAt === undefined) {
      this.#gate.drop(task, task.attemptsStarted > 0);
      this.#family.gone(task);
    }
    this.#comeToRest();
  }

  /** Runs a failed task again with fresh tries, through the gate. */
  redrive(task: TaskRecord): void {
    task.attemptsMade = 0;
    task.finishedAt = undefined;
    task.failedReason = undefined;
    this.#enqueue(task, false);
    this.#comeToRest();
  }

  configureTenant(tenantId: string, change: Parameters<FairGate["configure"]>[1]): void {
    this.#gate.configure(tenantId, change);
    this.#comeToRest();
  }

  /** After workers came, went or changed: what is admitted ahead follows what runs at once. */
  fitWindow(): void {
    this.#gate.window = Math.max(16, Math.ceil(1.5 * this.takers.concurrency));
    this.#gate.feed(this.#gate.window);
    this.#comeToRest();
  }

  setClassWeights(weights: ClassWeights): void {
    this.#gate.turns.weights = weights;
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
    this.#line = new ReadyLine();
    const { window, turns } = this.#gate;
    this.#gate = this.#newGate();
    this.#gate.window = window;
    this.#gate.turns.weights = turns.weights;
    this.#comeToRest();
  }

  #newGate(): FairGate {
    return new FairGate({
      now: () => this.clock.now(),
      readyTasks: () => this.#line.length,
      admit: (admitted) => {
        const task = admitted as TaskRecord;
        task.grantedFor = task.attemptsStarted + 1;
        this.#enqueue(task, false);
      },
    });
  }

  #enqueue(task: TaskRecord, isFirst: boolean): void {
    task.cancelTimer();
    task.state = "ready";
    this.#line.enter(task, isFirst);
  }

  #wakeAt(task: TaskRecord, time: number): void {
    task.cancelTimer = this.clock.at(time, () => {
      this.#enqueue(task, false);
      this.#comeToRest();
    });
  }

  #end(task: TaskRecord, state: "completed" | "failed"): void {
    task.state = state;
    task.finishedAt = this.clock.now();
    this.finished.add(task);
    this.#gate.settle(task, task.attemptsStarted);
    this.#comeToRest();
  }

  /** What every change ends with: workers look again, and the gate is fed when something comes due. */
  #comeToRest(): void {
    this.takers.wake();
    this.#cancelFeed();
    const dueAt = this.#gate.nextDueAt;
    if (dueAt === undefined) return;
    this.#cancelFeed = this.clock.at(dueAt, () => {
      this.#gate.feed(this.#gate.window);
      this.#comeToRest();
    });
  }
}
