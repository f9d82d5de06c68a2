import { type CloserStack, MillraceError, sleep } from "@millrace/core";
import type { Job } from "bullmq";
import { isTaskId } from "../check-new-task.ts";
import { gateKeys, type GateKeys } from "../gate/gate-keys.ts";
import type { QueueCounters } from "../metrics.ts";
import type { AddedTask, NewTask } from "../new-task.ts";
import type { ResolvedQueueOptions } from "../queue-options.ts";
import { type RedisClient, scanKeys } from "../redis-client.ts";
import type { TaskEnvelope } from "../task.ts";
import { assertTenantId } from "../tenants/tenant-id.ts";
import { OpenPartition } from "./queue-partition.ts";
import { rebalance, type RebalanceResult } from "./rebalance.ts";
import { TenantHomes } from "./tenant-homes.ts";

/** How often an add looks whether a tenant's move is over, and for how long. */
const MOVE_POLL_MS = 50;
const MOVE_POLLS = 100;

interface SetParts {
  options: ResolvedQueueOptions;
  client: RedisClient;
  counters: QueueCounters;
  roleKeys: GateKeys;
}

/** Keys of a partition: each has a hash tag of its own unless the queue shares one. */
export function partitionKeys(options: ResolvedQueueOptions, name: string): GateKeys {
  return gateKeys(options.prefix, name, options.tag === "shared" ? "shared" : name);
}

/** The partitions of a queue: one, or as many as it was split into and those that still have tenants. */
export class PartitionSet {
  readonly #parts: SetParts;
  readonly #closers: CloserStack;
  readonly #opening = new Map<string, Promise<OpenPartition>>();
  #list: OpenPartition[] = [];
  /** Undefined while the queue was never split: then nobody has to be looked up. */
  #homes: TenantHomes | undefined;

  private constructor(parts: SetParts, closers: CloserStack) {
    this.#parts = parts;
    this.#closers = closers;
  }

  static async open(parts: SetParts, closers: CloserStack): Promise<PartitionSet> {
    const set = new PartitionSet(parts, closers);
    const { options, client, roleKeys } = parts;
    const plain = roleKeys.queueName;
    const names =
      options.partitions === 1
        ? [plain]
        : Array.from({ length: options.partitions }, (_, index) => `${plain}#${index}`);
    const homes = new TenantHomes(client, roleKeys, names);
    if (options.partitions > 1 || (await homes.exist())) {
      await homes.seed(plain, () => tenantsOf(client, roleKeys));
      set.#homes = homes;
    }
    // One after the other: the first partition stays the first.
    for (const name of (await set.#homes?.names()) ?? names) await set.#partition(name);
    return set;
  }

  get list(): readonly OpenPartition[] {
    return this.#list;
  }

  get first(): OpenPartition {
    const [first] = this.#list;
    if (!first) throw new Error("no partition is open");
    return first;
  }

  async add(task: NewTask<unknown>): Promise<AddedTask> {
    if (!this.#homes) return this.first.producer.add(task);
    for (let polls = 0; ; polls++) {
      const partition = await this.home(task.tenantId);
      try {
        return await partition.producer.add(task);
      } catch (error) {
        const isMoving = MillraceError.is(error) && error.code === "QUEUE_TENANT_MOVING";
        if (!isMoving || polls === MOVE_POLLS) throw error;
        this.#homes.forget(task.tenantId);
        if (polls > 0) await sleep(MOVE_POLL_MS);
      }
    }
  }

  /** The partition in which a tenant lives. */
  async home(tenantId: string): Promise<OpenPartition> {
    assertTenantId(tenantId);
    return this.#homes ? this.#partition(await this.#homes.of(tenantId)) : this.first;
  }

  /** The partition that keeps a task, if any. */
  async holding(taskId: string): Promise<OpenPartition | undefined> {
    if (!isTaskId(taskId)) return undefined;
    const { client } = this.#parts;
    const found = await Promise.all(
      this.#list.map(({ keys }) => client.exists(`${keys.bullmq}${taskId}`)),
    );
    return this.#list[found.indexOf(1)];
  }

  /** Brings a failed task to where its tenant lives. @returns false when it is there already. */
  async adopt(job: Job): Promise<boolean> {
    const home = await this.home((job.data as TaskEnvelope).tenantId);
    if (home.name === job.queueName) return false;
    await home.producer.adopt(job);
    return true;
  }

  /** See {@link Gate.renew}. */
  async renew(job: Job, data: TaskEnvelope): Promise<boolean> {
    const keeper = this.#list.find(({ name }) => name === job.queueName);
    return (await keeper?.gate.renew(job.id ?? "", JSON.stringify(data))) ?? false;
  }

  async rebalance(): Promise<RebalanceResult> {
    const homes = this.#homes;
    if (!homes) return { moved: 0, waiting: 0 };
    const result = await homes.exclusively((isHeld) =>
      rebalance(homes, (name) => this.#partition(name), isHeld),
    );
    return result ?? { moved: 0, waiting: 1 };
  }

  /** Finishes the moves of a rebalance that was killed. @returns how many tenants moved. */
  async finishMoves(): Promise<number> {
    const homes = this.#homes;
    if (!homes || (await homes.moving()).length === 0) return 0;
    // Looked at again under the lock: without it they may be another's, at work now.
    const result = await homes.exclusively(async (isHeld) =>
      rebalance(homes, (name) => this.#partition(name), isHeld, await homes.moving()),
    );
    return result?.moved ?? 0;
  }

  #partition(name: string): Promise<OpenPartition> {
    let opening = this.#opening.get(name);
    if (!opening) {
      const keys = partitionKeys(this.#parts.options, name);
      opening = OpenPartition.open({ ...this.#parts, name, keys }, this.#closers).then(
        (partition) => {
          this.#list = [...this.#list, partition];
          return partition;
        },
      );
      this.#opening.set(name, opening);
      opening.catch(() => this.#opening.delete(name));
    }
    return opening;
  }
}

/** Everybody that a queue has ever heard of. */
async function tenantsOf(client: RedisClient, keys: GateKeys): Promise<string[]> {
  const nodes = "nodes" in client ? client.nodes("master") : [client];
  const prefix = `${keys.gate}t:`;
  const names = await Promise.all(nodes.map((node) => scanKeys(node, `${prefix}*`)));
  return [...new Set(names.flat())].map((name) => name.slice(prefix.length));
}
