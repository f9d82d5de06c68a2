import { type CloserStack, defaultLogger } from "@millrace/core";
import { Queue as BullmqQueue } from "bullmq";
import { classWeightsOf } from "../gate/class-weights.ts";
import { Gate } from "../gate/gate.ts";
import type { GateKeys } from "../gate/gate-keys.ts";
import type { QueueCounters } from "../metrics.ts";
import { Producer } from "../producer.ts";
import type { ResolvedQueueOptions } from "../queue-options.ts";
import { queueDepth, type QueueStatus } from "../queue-status.ts";
import type { RedisClient } from "../redis-client.ts";

/** One queue of BullMQ with its gate: all of a role, or one of the parts it was split into. */
export interface QueuePartition {
  /** BullMQ's name of it: `agent__<role>`, or `agent__<role>#<number>`. */
  readonly name: string;
  readonly keys: GateKeys;
  /** BullMQ's own queue, for dashboards and for what is not covered here. */
  readonly bullmq: BullmqQueue;
  /** @internal */
  readonly gate: Gate;
}

/** Tasks that are cancelled at once. */
const PAGE = 200;

interface PartitionParts {
  name: string;
  keys: GateKeys;
  client: RedisClient;
  options: ResolvedQueueOptions;
  /** Keys of the role, whatever its partitions. */
  roleKeys: GateKeys;
  counters: QueueCounters;
}

/** A partition that this process uses. */
export class OpenPartition implements QueuePartition {
  readonly name: string;
  readonly keys: GateKeys;
  readonly bullmq: BullmqQueue;
  readonly gate: Gate;
  readonly producer: Producer;

  private constructor(parts: PartitionParts, bullmq: BullmqQueue, gate: Gate, producer: Producer) {
    this.name = parts.name;
    this.keys = parts.keys;
    this.bullmq = bullmq;
    this.gate = gate;
    this.producer = producer;
  }

  static async open(parts: PartitionParts, closers: CloserStack): Promise<OpenPartition> {
    const { keys, client, options, counters, roleKeys } = parts;
    const logger = options.logger ?? defaultLogger();
    const bullmq = new BullmqQueue(keys.queueName, {
      connection: client,
      prefix: keys.bullmqPrefix,
      skipVersionCheck: true,
    });
    bullmq.on("error", (error) =>
      logger.warn({ err: error, queue: parts.name }, "queue connection"),
    );
    closers.push(() => bullmq.close());
    await bullmq.waitUntilReady();
    const gate = new Gate(client, keys);
    await client.hset(`${keys.gate}class-weights`, classWeightsOf(options.classWeights));
    await options.tenants.registerQueue(options.role, keys);
    const bullmqClient = await bullmq.getBackend().client;
    const producer = new Producer({ options, bullmq, bullmqClient, gate, counters, roleKeys });
    return new OpenPartition(parts, bullmq, gate, producer);
  }

  /** See {@link Queue.cancel}. @returns how many had not finished. */
  async cancel(taskIds: readonly string[]): Promise<number> {
    let cancelled = 0;
    const touched = new Set<string>();
    for (let from = 0; from < taskIds.length; from += PAGE) {
      const outcomes = await Promise.all(
        taskIds.slice(from, from + PAGE).map((taskId) => this.#cancelOne(taskId, touched)),
      );
      cancelled += outcomes.filter(Boolean).length;
    }
    for (const tenantId of touched) await this.#reconcileTenant(tenantId, { slotsOnly: true });
    return cancelled;
  }

  async #cancelOne(taskId: string, touched: Set<string>): Promise<boolean> {
    const outcome = await this.gate.cancel(taskId);
    if (outcome !== "waiting") return outcome === "running";
    const tenantId = await this.gate.client.hget(`${this.keys.bullmq}${taskId}`, "gt");
    // Refused when a worker has just taken it up: that worker ends it, since the mark was there before.
    const isRemoved = (await this.bullmq.remove(taskId)) === 1;
    if (isRemoved && tenantId !== null) {
      await this.gate.forget(tenantId, [taskId]);
      touched.add(tenantId);
    }
    return true;
  }

  async depth(): Promise<QueueStatus> {
    const [counts, tenantIds] = await Promise.all([
      this.bullmq.getJobCounts("wait", "prioritized", "active", "delayed", "failed"),
      this.gate.activeTenants(),
    ]);
    return queueDepth(counts, await this.gate.depths(tenantIds));
  }

  /**
   * Compares the gate's books with BullMQ's truth: every slot, and every staged task if `isThorough` or if
   * there are not as many of them here as there.
   */
  async reconcile(isThorough = true): Promise<{ freed: number; dropped: number; staged: number }> {
    const { gate, bullmq } = this;
    const total = { freed: 0, dropped: 0, staged: 0 };
    const slotsOnly = !isThorough && (await gate.countUnmatched()) === 0;
    for (const tenantId of await gate.activeTenants()) {
      const { freed, dropped } = await this.#reconcileTenant(tenantId, { slotsOnly });
      total.freed += freed;
      total.dropped += dropped;
    }
    if (slotsOnly) return total;
    let after = "";
    do {
      const page = await gate.restage(after);
      total.staged += page.staged;
      for (const id of page.refusedIds) await bullmq.remove(id);
      after = page.after;
    } while (after !== "");
    return total;
  }

  async #reconcileTenant(
    tenantId: string,
    { slotsOnly }: { slotsOnly: boolean },
  ): Promise<{ freed: number; dropped: number }> {
    const total = { freed: 0, dropped: 0 };
    let cursor = "0";
    do {
      const result = await this.gate.reconcileTenant(tenantId, { cursor, slotsOnly });
      total.freed += result.freed;
      total.dropped += result.dropped;
      cursor = result.cursor;
    } while (cursor !== "0");
    return total;
  }
}
