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
import { Queue as BullmqQueue } from "bullmq";
import { createDeadLetters, type DeadLetters } from "./dead-letters.ts";
import { queueError } from "./errors.ts";
import { Gate } from "./gate/gate.ts";
import { gateKeys, type GateKeys } from "./gate/gate-keys.ts";
import { publishQueueMetrics, type QueueCounters } from "./metrics.ts";
import { type AddedTask, type NewTask, Producer } from "./producer.ts";
import {
  type QueueOptions,
  queueOptionsSchema,
  type ResolvedQueueOptions,
} from "./queue-options.ts";
import { desiredWorkers, type DesiredWorkersOptions, type QueueStatus } from "./queue-status.ts";
import { assertRedisFits, openRedis, type RedisClient } from "./redis-client.ts";
import { isTaskEnvelope } from "./task.ts";
import { assertTenantId } from "./tenants/tenant-id.ts";

/** A task as it stands in Redis. */
export interface TaskView {
  taskId: string;
  tenantId: string;
  state: string;
  data: unknown;
  result: unknown;
  failedReason: string | undefined;
  attemptsMade: number;
  /** When it was added, in Unix milliseconds. */
  addedAt: number;
}

/** A queue of one agent role, shared by all tenants: the producer's side and the gate. */
export interface Queue<Input = unknown, Output = unknown> extends Component {
  readonly options: ResolvedQueueOptions;
  readonly role: string;
  readonly keys: GateKeys;
  /** BullMQ's own queue, for dashboards and for what is not covered here. */
  readonly bullmq: BullmqQueue;
  /** Failed tasks. */
  readonly deadLetters: DeadLetters;
  /** Only for types: what tasks carry and give back. */
  readonly types?: { input: Input; output: Output };
  /**
   * Adds a task; it runs when its tenant may run one more.
   *
   * @throws {@link MillraceError} `QUEUE_INPUT_INVALID`, `QUEUE_TENANT_UNKNOWN`,
   * `QUEUE_TENANT_DISABLED`, `QUEUE_QUOTA_EXCEEDED`, `QUEUE_STAGED_FULL`, `QUEUE_JOB_ID_TAKEN`,
   * `QUEUE_CLOSED`: the task was not added.
   */
  add(task: NewTask<Input>): Promise<AddedTask>;
  /** Adds several; each is accepted or refused by itself, in the order given. */
  addBulk(tasks: ReadonlyArray<NewTask<Input>>): Promise<Array<AddedTask | Error>>;
  get(taskId: string): Promise<TaskView | undefined>;
  /** Removes a task that does not run. @returns whether there was one. */
  cancel(taskId: string): Promise<boolean>;
  /** Stops admitting a tenant's tasks; what runs goes on. */
  pauseTenant(tenantId: string): Promise<void>;
  resumeTenant(tenantId: string): Promise<void>;
  /** Removes everything a tenant has staged. @returns how many tasks. */
  cancelTenant(tenantId: string): Promise<number>;
  status(): Promise<QueueStatus>;
  /** Worker processes that the admissible backlog keeps busy; capped tenants do not scale a fleet up. */
  desiredWorkers(options: DesiredWorkersOptions): Promise<number>;
  /** Compares the gate's books with BullMQ's truth and mends them; workers do it every 5 seconds. */
  reconcile(): Promise<{ freed: number; dropped: number; staged: number }>;
  /** Deletes every key of the queue, ours and BullMQ's. For tests and for retired roles. */
  obliterate(): Promise<void>;
  /** @internal */
  readonly gate: Gate;
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
  #parts: { client: RedisClient; bullmq: BullmqQueue; gate: Gate; producer: Producer } | undefined;
  #depth: QueueStatus | undefined;

  constructor(options: ResolvedQueueOptions) {
    super();
    const queueName = `agent__${options.role}`;
    this.name = `queue:${options.role}`;
    this.options = options;
    this.keys = gateKeys(
      options.prefix,
      queueName,
      options.tag === "shared" ? "shared" : queueName,
    );
    this.#logger = options.logger ?? defaultLogger();
    this.deadLetters = createDeadLetters(() => this.#running().bullmq);
    this.lifecycle = new Lifecycle({ name: this.name, open: (closers) => this.#open(closers) });
  }

  get role() {
    return this.options.role;
  }

  get bullmq() {
    return this.#running().bullmq;
  }

  get gate() {
    return this.#running().gate;
  }

  get client() {
    return this.#running().client;
  }

  health(): Health {
    const status = this.#parts?.client.status ?? "not connected";
    return status === "ready"
      ? { healthy: true }
      : { healthy: false, reason: `Redis is ${status}` };
  }

  add(task: NewTask<Input>): Promise<AddedTask> {
    return this.#running().producer.add(task);
  }

  addBulk(tasks: ReadonlyArray<NewTask<Input>>): Promise<Array<AddedTask | Error>> {
    const { producer } = this.#running();
    return Promise.all(
      tasks.map((task) =>
        producer.add(task).catch((error: unknown) => {
          if (error instanceof Error) return error;
          throw error;
        }),
      ),
    );
  }

  async get(taskId: string): Promise<TaskView | undefined> {
    // In this order: a task that is completed by now shows its result.
    const state = await this.bullmq.getJobState(taskId);
    const job = await this.bullmq.getJob(taskId);
    if (!job || !isTaskEnvelope(job.data)) return undefined;
    return {
      taskId,
      tenantId: job.data.tenantId,
      state,
      data: job.data.data,
      result: job.returnvalue as unknown,
      failedReason: job.failedReason,
      attemptsMade: job.attemptsMade,
      addedAt: job.timestamp,
    };
  }

  async cancel(taskId: string): Promise<boolean> {
    const job = await this.bullmq.getJob(taskId);
    if (!job) return false;
    const isRemoved = (await this.bullmq.remove(taskId)) === 1;
    if (isRemoved && isTaskEnvelope(job.data)) {
      await this.gate.forget(job.data.tenantId, [taskId]);
      await this.gate.reconcileTenant(job.data.tenantId);
    }
    return isRemoved;
  }

  async pauseTenant(tenantId: string): Promise<void> {
    assertTenantId(tenantId);
    const { limits } = await this.options.tenants.allocation(tenantId, this.role);
    await this.gate.configureTenant(tenantId, { limits, isPaused: true });
  }

  async resumeTenant(tenantId: string): Promise<void> {
    assertTenantId(tenantId);
    const { limits } = await this.options.tenants.allocation(tenantId, this.role);
    await this.gate.configureTenant(tenantId, { limits, isPaused: false });
  }

  async cancelTenant(tenantId: string): Promise<number> {
    assertTenantId(tenantId);
    const { client, bullmq, gate } = this.#running();
    let removed = 0;
    for (;;) {
      const ids = await client.zrange(`${this.keys.gate}s:${tenantId}`, "0", "199");
      if (ids.length === 0) return removed;
      const outcomes = await Promise.all(ids.map((id) => bullmq.remove(id)));
      removed += outcomes.filter((outcome) => outcome === 1).length;
      await gate.forget(tenantId, ids);
    }
  }

  async status(): Promise<QueueStatus> {
    const { bullmq, gate } = this.#running();
    const [counts, tenantIds] = await Promise.all([
      bullmq.getJobCounts("wait", "prioritized", "active", "delayed", "failed"),
      gate.activeTenants(),
    ]);
    const tenants = await gate.depths(tenantIds);
    const staged = tenants.reduce((sum, tenant) => sum + tenant.staged, 0);
    const oldestAt = Math.min(
      ...tenants.map((tenant) => tenant.oldestAt ?? Number.POSITIVE_INFINITY),
    );
    return {
      role: this.role,
      staged,
      admitted: (counts["wait"] ?? 0) + (counts["prioritized"] ?? 0),
      running: counts["active"] ?? 0,
      delayed: Math.max(0, (counts["delayed"] ?? 0) - staged),
      failed: counts["failed"] ?? 0,
      oldestAgeMs: Number.isFinite(oldestAt) ? Math.max(0, Date.now() - oldestAt) : 0,
      tenants,
    };
  }

  async desiredWorkers(options: DesiredWorkersOptions): Promise<number> {
    const { gate } = this.#running();
    return desiredWorkers(await gate.depths(await gate.activeTenants()), options);
  }

  async reconcile(): Promise<{ freed: number; dropped: number; staged: number }> {
    const { gate, bullmq } = this.#running();
    const total = { freed: 0, dropped: 0, staged: 0 };
    for (const tenantId of await gate.activeTenants()) {
      let cursor = "0";
      do {
        const result = await gate.reconcileTenant(tenantId, cursor);
        total.freed += result.freed;
        total.dropped += result.dropped;
        cursor = result.cursor;
      } while (cursor !== "0");
    }
    let after = "";
    do {
      const page = await gate.restage(after);
      total.staged += page.staged;
      for (const id of page.refusedIds) await bullmq.remove(id);
      after = page.after;
    } while (after !== "");
    return total;
  }

  async obliterate(): Promise<void> {
    const { bullmq, client } = this.#running();
    await bullmq.obliterate({ force: true });
    const nodes = "nodes" in client ? client.nodes("master") : [client];
    for (const node of nodes) {
      let cursor = "0";
      do {
        const [next, keys] = await node.scan(cursor, "MATCH", `${this.keys.gate}*`, "COUNT", 1_000);
        if (keys.length > 0) await node.del(...keys);
        cursor = next;
      } while (cursor !== "0");
    }
  }

  async #open(closers: CloserStack): Promise<void> {
    const { options, keys } = this;
    const opened = openRedis(options.connection);
    closers.push(() => opened.close());
    await assertRedisFits(opened.client, options);
    const bullmq = new BullmqQueue(keys.queueName, {
      connection: opened.client,
      prefix: keys.bullmqPrefix,
      skipVersionCheck: true,
    });
    bullmq.on("error", (error) =>
      this.#logger.warn({ err: error, role: this.role }, "queue connection"),
    );
    closers.push(() => bullmq.close());
    await bullmq.waitUntilReady();
    const gate = new Gate(opened.client, keys);
    await this.#storeClassWeights(opened.client);
    await options.tenants.registerQueue(options.role, keys);
    const backend = bullmq.getBackend();
    const bullmqClient = await backend.client;
    const producer = new Producer({ options, bullmq, bullmqClient, gate, counters: this.counters });
    this.#parts = { client: opened.client, bullmq, gate, producer };
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

  async #storeClassWeights(client: RedisClient): Promise<void> {
    const { classWeights } = this.options;
    const { urgent, normal, batch } =
      classWeights === "strict" ? { urgent: 1, normal: 0, batch: 0 } : classWeights;
    await client.hset(`${this.keys.gate}class-weights`, "1", urgent, "5", normal, "10", batch);
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
