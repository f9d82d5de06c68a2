/**
 * Queues in bull-board: one entry for each partition, and one for each tenant that you name.
 *
 * @example
 * ```ts
 * import { createBoardAdapters } from "@millrace/queue/bull-board";
 * import { createQueue, createTenantStore } from "@millrace/queue";
 * import { createBullBoard } from "@bull-board/api";
 * import { FastifyAdapter } from "@bull-board/fastify";
 *
 * const connection = { host: "127.0.0.1" };
 * const tenants = createTenantStore({ connection, plans: { pro: { roles: { "*": {} } } } });
 * const queue = createQueue({ connection, role: "copywriter", tenants });
 * const serverAdapter = new FastifyAdapter();
 * await queue.start();
 * createBullBoard({ queues: await createBoardAdapters(queue, { tenantIds: ["acme"] }), serverAdapter });
 * ```
 *
 * @module
 */
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import type { Job } from "bullmq";
import type { QueuePartition } from "./partitions/queue-partition.ts";
import type { Queue } from "./queue.ts";

/** What the board shows besides the whole queue. */
export interface BoardOptions {
  /** Tenants with an entry of their own. @default none */
  tenantIds?: readonly string[] | undefined;
  /** Shows without changing anything. @default false */
  isReadOnly?: boolean | undefined;
}

/**
 * Adapters for `createBullBoard`. A tenant's entry shows what it has waiting (as `delayed`, in its order)
 * and what holds its slots; pausing and emptying it there is `pauseTenant` and `cancelTenant`. Whatever is
 * promoted or retried on the board goes through the gate: no cap is exceeded.
 *
 * @throws {@link MillraceError} `QUEUE_CLOSED` when the queue is not running.
 */
export async function createBoardAdapters(
  queue: Queue,
  { tenantIds = [], isReadOnly = false }: BoardOptions = {},
): Promise<BullMQAdapter[]> {
  const whole = queue.partitions.map((partition) => new QueueAdapter(queue, partition, isReadOnly));
  const each = await Promise.all(
    tenantIds.map(async (tenantId) => {
      return new TenantAdapter(queue, await queue.partitionOf(tenantId), tenantId, isReadOnly);
    }),
  );
  return [...whole, ...each];
}

/** BullMQ's own view, but what empties a queue keeps the gate's books. */
class QueueAdapter extends BullMQAdapter {
  readonly #queue: Queue;

  constructor(queue: Queue, { bullmq, name }: QueuePartition, readOnlyMode: boolean) {
    super(bullmq, { readOnlyMode, description: `${name}: waiting tasks are shown as delayed` });
    this.#queue = queue;
  }

  override async empty(): Promise<void> {
    const { tenants } = await this.#queue.status();
    for (const { tenantId } of tenants) await this.#queue.cancelTenant(tenantId);
  }

  override obliterate(): Promise<void> {
    return this.#queue.obliterate();
  }
}

type Counts = Awaited<ReturnType<BullMQAdapter["getJobCounts"]>>;
type Statuses = Parameters<BullMQAdapter["getJobs"]>[0];

class TenantAdapter extends BullMQAdapter {
  readonly #queue: Queue;
  readonly #partition: QueuePartition;
  readonly #tenantId: string;

  constructor(queue: Queue, partition: QueuePartition, tenantId: string, readOnlyMode: boolean) {
    super(partition.bullmq, {
      readOnlyMode,
      displayName: tenantId,
      description: `${queue.role} of ${tenantId}`,
    });
    this.#queue = queue;
    this.#partition = partition;
    this.#tenantId = tenantId;
  }

  override getName(): string {
    return `${this.#partition.name}@${this.#tenantId}`;
  }

  override async getJobCounts(): Promise<Counts> {
    const counts = Object.fromEntries(this.getStatuses().map((status) => [status, 0])) as Counts;
    const [staged, held] = await Promise.all([this.#staged(0, -1), this.#held()]);
    counts.delayed = staged.length;
    for (const { state } of held) if (state in counts) counts[state as keyof Counts]++;
    return counts;
  }

  override async getJobs(statuses: Statuses, start = 0, end = -1): Promise<Job[]> {
    const wanted = new Set<string>(statuses);
    const held = wanted.size === 1 && wanted.has("delayed") ? [] : await this.#held();
    const ids = held.filter(({ state }) => wanted.has(state)).map(({ id }) => id);
    if (wanted.has("delayed")) ids.push(...(await this.#staged(0, end)));
    const page = ids.slice(start, end < 0 ? undefined : end + 1);
    const jobs = await Promise.all(page.map((id) => this.#partition.bullmq.getJob(id)));
    return jobs.filter((job) => job !== undefined);
  }

  override async isPaused(): Promise<boolean> {
    const [depth] = await this.#partition.gate.depths([this.#tenantId]);
    return depth?.isPaused === true;
  }

  override pause(): Promise<void> {
    return this.#queue.pauseTenant(this.#tenantId);
  }

  override resume(): Promise<void> {
    return this.#queue.resumeTenant(this.#tenantId);
  }

  override async empty(): Promise<void> {
    await this.#queue.cancelTenant(this.#tenantId);
  }

  override async obliterate(): Promise<void> {
    await this.#queue.cancelTenant(this.#tenantId);
  }

  /** A tenant's tasks run when its cap allows: there is nothing to promote. */
  override promoteAll(): Promise<void> {
    return Promise.resolve();
  }

  override clean(): Promise<void> {
    return Promise.resolve();
  }

  #staged(start: number, end: number): Promise<string[]> {
    const { gate, keys } = this.#partition;
    return gate.client.zrange(`${keys.gate}s:${this.#tenantId}`, String(start), String(end));
  }

  async #held(): Promise<Array<{ id: string; state: string }>> {
    const { gate, keys, bullmq } = this.#partition;
    const ids = await gate.client.smembers(`${keys.gate}l:${this.#tenantId}`);
    return Promise.all(ids.map(async (id) => ({ id, state: await bullmq.getJobState(id) })));
  }
}
