import { type CloserStack, type Health, Lifecycle, LifecycleComponent } from "@millrace/core";
import { acceptTask, type AcceptedTask } from "../accept-task.ts";
import { queueError } from "../errors.ts";
import { classWeightsOf } from "../gate/class-weights.ts";
import type { GateKeys } from "../gate/gate-keys.ts";
import { refusalOf } from "../gate/refusal.ts";
import { publishQueueMetrics, type QueueCounters } from "../metrics.ts";
import { partitionKeys } from "../partitions/partition-set.ts";
import type { AddedTask, NewTask } from "../new-task.ts";
import type { Queue, TaskView } from "../queue.ts";
import type { ResolvedQueueOptions } from "../queue-options.ts";
import {
  desiredWorkers,
  type DesiredWorkersOptions,
  queueDepth,
  type QueueStatus,
} from "../queue-status.ts";
import { PRIORITIES, type TaskEnvelope } from "../task.ts";
import { monthOf } from "../tenants/month.ts";
import { assertTenantId } from "../tenants/tenant-id.ts";
import { CANCELLED } from "../worker/final-failures.ts";
import type { KeptQueue } from "./kept-queue.ts";
import { memoryDeadLetters } from "./memory-dead-letters.ts";
import type { MemoryStore } from "./memory-store.ts";
import { once } from "./once.ts";
import { storedCopy } from "./stored-copy.ts";
import { BULLMQ_STATES } from "./task-record.ts";

/** A queue of a backend in memory. */
export class MemoryQueue<Input, Output> extends LifecycleComponent implements Queue<Input, Output> {
  readonly name: string;
  readonly options: ResolvedQueueOptions;
  readonly keys: GateKeys;
  readonly kept: KeptQueue;
  readonly deadLetters: Queue["deadLetters"];
  readonly counters: QueueCounters = { added: 0, refused: 0, duplicates: 0 };
  protected readonly lifecycle: Lifecycle;

  constructor(options: ResolvedQueueOptions, store: MemoryStore) {
    super();
    this.name = `queue:${options.role}`;
    this.options = options;
    this.keys = partitionKeys(options, `agent__${options.role}`);
    this.kept = store.queue(this.keys);
    this.deadLetters = memoryDeadLetters(() => this.#running());
    this.lifecycle = new Lifecycle({ name: this.name, open: (closers) => this.#open(closers) });
  }

  get role() {
    return this.options.role;
  }

  health(): Health {
    return this.state === "running"
      ? { healthy: true }
      : { healthy: false, reason: `${this.name} is ${this.state}` };
  }

  async add(task: NewTask<Input>): Promise<AddedTask> {
    const kept = this.#running();
    return acceptTask(this.options, task, async (accepted) => {
      const { deduplication, tenantId } = task;
      const key = deduplication && { tenantId, ...deduplication };
      const added = once(kept, key, () => this.#store(accepted));
      if (added.isDuplicate) this.counters.duplicates++;
      else this.counters.added++;
      return added;
    });
  }

  addBulk(tasks: ReadonlyArray<NewTask<Input>>): Promise<Array<AddedTask | Error>> {
    return Promise.all(
      tasks.map((task) =>
        this.add(task).catch((error: unknown) => {
          if (error instanceof Error) return error;
          throw error;
        }),
      ),
    );
  }

  async get(taskId: string): Promise<TaskView | undefined> {
    const task = this.#running().tasks.get(taskId);
    if (!task) return undefined;
    const { tenantId, progress, result, failedReason, attemptsMade, addedAt } = task;
    return {
      taskId,
      tenantId,
      state: BULLMQ_STATES[task.state],
      data: storedCopy(task.envelope.data),
      progress: storedCopy(progress),
      result: storedCopy(result),
      failedReason,
      attemptsMade,
      addedAt,
    };
  }

  async cancel(taskId: string): Promise<boolean> {
    return this.#running().cancel(taskId, CANCELLED);
  }

  async cancelTenant(tenantId: string): Promise<number> {
    assertTenantId(tenantId);
    const kept = this.#running();
    return [...kept.tasks.values()].filter(
      (task) => task.tenantId === tenantId && kept.cancel(task.taskId, CANCELLED),
    ).length;
  }

  async pauseTenant(tenantId: string): Promise<void> {
    await this.#setPaused(tenantId, true);
  }

  async resumeTenant(tenantId: string): Promise<void> {
    await this.#setPaused(tenantId, false);
  }

  async status(): Promise<QueueStatus> {
    return this.#depth(this.#running());
  }

  async desiredWorkers(options: DesiredWorkersOptions): Promise<number> {
    return desiredWorkers(this.#running().depths(), options);
  }

  /** There is only one book here. */
  async reconcile(): Promise<{ freed: number; dropped: number; staged: number }> {
    this.#running();
    return { freed: 0, dropped: 0, staged: 0 };
  }

  /** A queue in memory is never split. */
  async rebalance(): Promise<{ moved: number; waiting: number }> {
    this.#running();
    return { moved: 0, waiting: 0 };
  }

  async finishMoves(): Promise<number> {
    return 0;
  }

  async obliterate(): Promise<void> {
    this.#running().clear();
  }

  get bullmq(): Queue["bullmq"] {
    throw this.#redisOnly("bullmq");
  }

  get partitions(): Queue["partitions"] {
    throw this.#redisOnly("partitions");
  }

  get gate(): Queue["gate"] {
    throw this.#redisOnly("gate");
  }

  get client(): Queue["client"] {
    throw this.#redisOnly("client");
  }

  async partitionOf(): Promise<never> {
    throw this.#redisOnly("partitionOf");
  }

  async partitionHolding(): Promise<never> {
    throw this.#redisOnly("partitionHolding");
  }

  #store({ task, taskId, envelope, allocation }: AcceptedTask): AddedTask {
    const { options, counters, kept } = this;
    const now = kept.clock.now();
    const outcome = kept.add(
      {
        taskId,
        tenantId: task.tenantId,
        priority: PRIORITIES[task.priority ?? "normal"],
        envelope: storedCopy(envelope) as TaskEnvelope,
        attempts: task.attempts ?? options.attempts,
        addedAt: now,
        parent: task.parent,
      },
      {
        limits: allocation.limits,
        dueAt: task.delayMs === undefined ? undefined : now + task.delayMs,
        month: monthOf(now, allocation.timezone),
      },
    );
    const refusal = refusalOf(outcome, task.tenantId, options.role, taskId);
    if (refusal) {
      counters.refused++;
      throw refusal;
    }
    return { taskId, isDuplicate: outcome !== "staged" };
  }

  async #setPaused(tenantId: string, isPaused: boolean): Promise<void> {
    assertTenantId(tenantId);
    const kept = this.#running();
    const { limits } = await this.options.tenants.allocation(tenantId, this.role);
    kept.configureTenant(tenantId, { limits, isPaused });
  }

  #depth(kept: KeptQueue): QueueStatus {
    const counts: Record<string, number> = {};
    for (const { state } of kept.tasks.values()) {
      const name = BULLMQ_STATES[state];
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return { ...queueDepth(counts, kept.depths(), kept.clock.now()), role: this.role };
  }

  async #open(closers: CloserStack): Promise<void> {
    this.kept.admissions.setClassWeights(classWeightsOf(this.options.classWeights));
    await this.options.tenants.registerQueue(this.role, this.keys);
    closers.push(publishQueueMetrics(this, () => this.#depth(this.kept)));
  }

  #running(): KeptQueue {
    if (this.state === "running" || this.state === "draining") return this.kept;
    throw queueError(
      "QUEUE_CLOSED",
      `${this.name} is ${this.state}: use it between start() and close()`,
    );
  }

  #redisOnly(what: string) {
    return queueError(
      "QUEUE_REDIS_ONLY",
      `${this.name} is in memory and has no ${what}: create what needs it by the same backend, or test it with Redis`,
    );
  }
}
