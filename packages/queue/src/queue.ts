import {
  type CloserStack,
  type Component,
  defaultLogger,
  type Health,
  Lifecycle,
  LifecycleComponent,
  type Logger,
  parseOptions,
} from "@millrace/core";
import type { Queue as BullmqQueue } from "bullmq";
import { createDeadLetters, type DeadLetters } from "./dead-letters.ts";
import { queueError } from "./errors.ts";
import type { Gate } from "./gate/gate.ts";
import type { GateKeys } from "./gate/gate-keys.ts";
import { publishQueueMetrics, type QueueCounters } from "./metrics.ts";
import { PartitionSet, partitionKeys } from "./partitions/partition-set.ts";
import type { OpenPartition, QueuePartition } from "./partitions/queue-partition.ts";
import type { RebalanceResult } from "./partitions/rebalance.ts";
import { unfinishedTasks } from "./partitions/tenant-tasks.ts";
import type { AddedTask, NewTask } from "./new-task.ts";
import {
  type QueueOptions,
  queueOptionsSchema,
  type ResolvedQueueOptions,
} from "./queue-options.ts";
import {
  desiredWorkers,
  type DesiredWorkersOptions,
  type QueueStatus,
  sumDepths,
} from "./queue-status.ts";
import {
  assertRedisFits,
  openRedis,
  type RedisClient,
  redisHealth,
  scanKeys,
} from "./redis-client.ts";
import { isTaskEnvelope } from "./task.ts";
import { assertTenantId } from "./tenants/tenant-id.ts";

/** A task as it stands in Redis. */
export interface TaskView {
  taskId: string;
  tenantId: string;
  /** BullMQ's; `delayed` while it waits behind the gate, `prioritized` once it is admitted. */
  state: string;
  /** As it was added. */
  data: unknown;
  /** What its handler reported last, as it was stored; 0 before. */
  progress: unknown;
  /** What its handler returned, once it is `completed`. */
  result: unknown;
  /** Message of the last error. */
  failedReason: string | undefined;
  /** Tries that ended. */
  attemptsMade: number;
  /** When it was added, in Unix milliseconds. */
  addedAt: number;
}

/** A queue of one agent role, shared by all tenants: the producer's side and the gate. */
export interface Queue<Input = unknown, Output = unknown> extends Component {
  readonly options: ResolvedQueueOptions;
  readonly role: string;
  /** Keys of the role; those of its tasks are in {@link Queue.partitions}. */
  readonly keys: GateKeys;
  /**
   * BullMQ's own queue, for dashboards and for what is not covered here; of a split queue, the first
   * partition's.
   */
  readonly bullmq: BullmqQueue;
  /** What the queue consists of: one partition unless it was split. */
  readonly partitions: readonly QueuePartition[];
  /** The partition that a tenant lives in. */
  partitionOf(tenantId: string): Promise<QueuePartition>;
  /** Failed tasks. */
  readonly deadLetters: DeadLetters;
  /** Only for types: what tasks carry and give back. */
  readonly types?: { input: Input; output: Output };
  /**
   * Adds a task; it runs when its tenant may run one more.
   *
   * @throws {@link MillraceError} `CONFIG_INVALID`, `QUEUE_INPUT_INVALID`, `QUEUE_TENANT_UNKNOWN`,
   * `QUEUE_TENANT_DISABLED`, `QUEUE_QUOTA_EXCEEDED`, `QUEUE_STAGED_FULL`, `QUEUE_JOB_ID_TAKEN`,
   * `QUEUE_TENANT_MOVING`, `QUEUE_CLOSED`: the task was not added.
   */
  add(task: NewTask<Input>): Promise<AddedTask>;
  /** Adds several; each is accepted or refused by itself, in the order given. */
  addBulk(tasks: ReadonlyArray<NewTask<Input>>): Promise<Array<AddedTask | Error>>;
  get(taskId: string): Promise<TaskView | undefined>;
  /**
   * Ends a task: one that waits, backs off or awaits a callback is removed; the signal of one that runs
   * fires, wherever it runs, and it is removed when its run ends. One that waits for its children goes with
   * them, those that run at their end. Neither counts as failed. A task that no worker had taken up is
   * taken off the month's quota. Cancelling again changes nothing.
   *
   * @returns whether there was one that had not finished.
   */
  cancel(taskId: string): Promise<boolean>;
  /** Stops admitting a tenant's tasks; what runs goes on. */
  pauseTenant(tenantId: string): Promise<void>;
  resumeTenant(tenantId: string): Promise<void>;
  /** Cancels every unfinished task of a tenant, as {@link Queue.cancel} does. @returns how many. */
  cancelTenant(tenantId: string): Promise<number>;
  status(): Promise<QueueStatus>;
  /** Worker processes that the admissible backlog keeps busy; capped tenants do not scale a fleet up. */
  desiredWorkers(options: DesiredWorkersOptions): Promise<number>;
  /**
   * Compares the gate's books with BullMQ's truth, task by task, and mends them. Workers do it every 5
   * seconds, and then look at staged tasks only when the two count differently, or every 60th time.
   */
  reconcile(): Promise<{ freed: number; dropped: number; staged: number }>;
  /**
   * After the number of partitions has changed: moves the tenants that belong elsewhere now and have nothing
   * unfinished where they are. The others stay until a later call. Call it until `waiting` is 0.
   */
  rebalance(): Promise<RebalanceResult>;
  /** Deletes every key of the queue, ours and BullMQ's. For tests and for retired roles. */
  obliterate(): Promise<void>;
  /** @internal The gate of the first partition. */
  readonly gate: Gate;
  /** @internal The partition that keeps a task, or undefined. */
  partitionHolding(taskId: string): Promise<QueuePartition | undefined>;
  /** @internal Ends the moves of a rebalance that was killed. @returns how many tenants moved. */
  finishMoves(): Promise<number>;
  /** @internal */
  readonly client: RedisClient;
  /** @internal */
  readonly counters: QueueCounters;
}

/**
 * Creates the queue of one agent role. Start the tenant store before it, and workers after it.
 *
 * @throws {@link MillraceError} `CONFIG_INVALID` for bad options. `start` throws `QUEUE_REDIS_TOO_OLD`
 * or `QUEUE_REDIS_EVICTS`.
 */
export function createQueue<Input = unknown, Output = unknown>(
  options: QueueOptions<Input, Output>,
): Queue<Input, Output> {
  return new RedisQueue<Input, Output>(parseOptions(queueOptionsSchema, options, "createQueue"));
}

class RedisQueue<Input, Output> extends LifecycleComponent implements Queue<Input, Output> {
  readonly name: string;
  readonly options: ResolvedQueueOptions;
  readonly keys: GateKeys;
  readonly deadLetters: DeadLetters;
  readonly counters: QueueCounters = { added: 0, refused: 0, duplicates: 0 };
  readonly #logger: Logger;
  protected readonly lifecycle: Lifecycle;
  #parts: { client: RedisClient; partitions: PartitionSet } | undefined;
  #depth: QueueStatus | undefined;

  constructor(options: ResolvedQueueOptions) {
    super();
    this.name = `queue:${options.role}`;
    this.options = options;
    this.keys = partitionKeys(options, `agent__${options.role}`);
    this.#logger = options.logger ?? defaultLogger();
    this.deadLetters = createDeadLetters({
      partitions: () => this.partitions.map(({ bullmq }) => bullmq),
      adopt: (job) => this.#running().partitions.adopt(job),
      renew: (job, data) => this.#running().partitions.renew(job, data),
    });
    this.lifecycle = new Lifecycle({
      name: this.name,
      open: (closers, signal) => this.#open(closers, signal),
    });
  }

  get role() {
    return this.options.role;
  }

  get bullmq() {
    return this.#running().partitions.first.bullmq;
  }

  get gate() {
    return this.#running().partitions.first.gate;
  }

  get partitions() {
    return this.#running().partitions.list;
  }

  get client() {
    return this.#running().client;
  }

  health(): Health {
    return redisHealth(this.#parts?.client);
  }

  add(task: NewTask<Input>): Promise<AddedTask> {
    return this.#running().partitions.add(task);
  }

  addBulk(tasks: ReadonlyArray<NewTask<Input>>): Promise<Array<AddedTask | Error>> {
    const { partitions } = this.#running();
    return Promise.all(
      tasks.map((task) =>
        partitions.add(task).catch((error: unknown) => {
          if (error instanceof Error) return error;
          throw error;
        }),
      ),
    );
  }

  async get(taskId: string): Promise<TaskView | undefined> {
    const partition = await this.partitionHolding(taskId);
    if (!partition) return undefined;
    // In this order: a task that is completed by now shows its result.
    const state = await partition.bullmq.getJobState(taskId);
    const job = await partition.bullmq.getJob(taskId);
    if (!job || !isTaskEnvelope(job.data)) return undefined;
    return {
      taskId,
      tenantId: job.data.tenantId,
      state,
      data: job.data.data,
      progress: job.progress,
      result: job.returnvalue as unknown,
      failedReason: job.failedReason,
      attemptsMade: job.attemptsMade,
      addedAt: job.timestamp,
    };
  }

  async partitionOf(tenantId: string): Promise<OpenPartition> {
    return this.#running().partitions.home(tenantId);
  }

  partitionHolding(taskId: string): Promise<OpenPartition | undefined> {
    return this.#running().partitions.holding(taskId);
  }

  async cancel(taskId: string): Promise<boolean> {
    const partition = await this.partitionHolding(taskId);
    return partition !== undefined && (await partition.cancel([taskId])) === 1;
  }

  pauseTenant(tenantId: string): Promise<void> {
    return this.#setPaused(tenantId, true);
  }

  resumeTenant(tenantId: string): Promise<void> {
    return this.#setPaused(tenantId, false);
  }

  async cancelTenant(tenantId: string): Promise<number> {
    assertTenantId(tenantId);
    let cancelled = 0;
    for (const partition of this.#running().partitions.list) {
      const unfinished = await unfinishedTasks(partition, new Set([tenantId]));
      cancelled += await partition.cancel([...(unfinished.get(tenantId) ?? [])]);
    }
    return cancelled;
  }

  async status(): Promise<QueueStatus> {
    const { partitions } = this.#running();
    const depths = await Promise.all(partitions.list.map((partition) => partition.depth()));
    return sumDepths(this.role, depths);
  }

  async desiredWorkers(options: DesiredWorkersOptions): Promise<number> {
    const { partitions } = this.#running();
    const tenants = await Promise.all(
      partitions.list.map(async ({ gate }) => gate.depths(await gate.activeTenants())),
    );
    return desiredWorkers(tenants.flat(), options);
  }

  async reconcile(): Promise<{ freed: number; dropped: number; staged: number }> {
    const total = { freed: 0, dropped: 0, staged: 0 };
    for (const partition of this.#running().partitions.list) {
      const { freed, dropped, staged } = await partition.reconcile();
      total.freed += freed;
      total.dropped += dropped;
      total.staged += staged;
    }
    return total;
  }

  rebalance(): Promise<RebalanceResult> {
    return this.#running().partitions.rebalance();
  }

  finishMoves(): Promise<number> {
    return this.#running().partitions.finishMoves();
  }

  async obliterate(): Promise<void> {
    const { partitions, client } = this.#running();
    const prefixes = [this.keys, ...partitions.list.map(({ keys }) => keys)].map(
      ({ gate }) => gate,
    );
    for (const { bullmq } of partitions.list) await bullmq.obliterate({ force: true });
    const nodes = "nodes" in client ? client.nodes("master") : [client];
    for (const node of nodes) {
      for (const prefix of new Set(prefixes)) {
        for (const key of await scanKeys(node, `${prefix}*`)) await node.del(key);
      }
    }
  }

  async #setPaused(tenantId: string, isPaused: boolean): Promise<void> {
    assertTenantId(tenantId);
    const { limits } = await this.options.tenants.allocation(tenantId, this.role);
    const { gate } = await this.#running().partitions.home(tenantId);
    await gate.configureTenant(tenantId, { limits, isPaused });
  }

  async #open(closers: CloserStack, signal: AbortSignal): Promise<void> {
    const { options } = this;
    const { connection, logger } = options;
    const client = await openRedis(connection, { closers, signal, logger });
    await assertRedisFits(client, options);
    const partitions = await PartitionSet.open(
      { options, client, counters: this.counters, roleKeys: this.keys },
      closers,
    );
    this.#parts = { client, partitions };
    if (options.depthIntervalMs > 0) this.#sampleDepth(closers, options.depthIntervalMs);
    closers.push(publishQueueMetrics(this, () => this.#depth));
  }

  #sampleDepth(closers: CloserStack, intervalMs: number): void {
    let pending: Promise<unknown> = Promise.resolve();
    const sample = () => {
      pending = this.status()
        .then((status) => (this.#depth = status))
        .catch((error: unknown) => this.#logger.debug({ err: error }, "depth not read"));
    };
    const timer = setInterval(sample, intervalMs);
    timer.unref();
    closers.push(async () => {
      clearInterval(timer);
      await pending;
    });
  }

  #running() {
    const parts = this.#parts;
    if (parts === undefined || (this.state !== "running" && this.state !== "draining")) {
      throw queueError(
        "QUEUE_CLOSED",
        `${this.name} is ${this.state}: use it between start() and close()`,
      );
    }
    return parts;
  }
}
