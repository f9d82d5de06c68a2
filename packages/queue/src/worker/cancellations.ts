import type { CloserStack, Logger } from "@millrace/core";
import type { QueuePartition } from "../partitions/queue-partition.ts";
import type { RedisClient } from "../redis-client.ts";
import { RedisSubscriber } from "../redis-subscriber.ts";

/** How long an id is remembered that was cancelled while its run was on its way here, in milliseconds. */
const REMEMBER_MS = 60_000;

/** One partition as a worker runs it. */
interface CancelTarget {
  partition: QueuePartition;
  /** Fires the signal of a run, if it is here. */
  cancel: (taskId: string) => void;
  /** What runs here now. */
  running: () => Iterable<string>;
}

/**
 * Hears of cancelled tasks over publish and subscribe. The mark in the job is the truth and the message
 * only makes haste: after a broken connection the marks of what runs are read.
 */
export class Cancellations {
  readonly #logger: Logger;
  readonly #recent = new Map<string, number>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Whether a task was cancelled, as far as was heard. */
  has(taskId: string): boolean {
    return this.#recent.has(taskId);
  }

  add(taskId: string): void {
    const now = performance.now();
    for (const [id, at] of this.#recent) {
      if (now - at < REMEMBER_MS) break;
      this.#recent.delete(id);
    }
    this.#recent.delete(taskId);
    this.#recent.set(taskId, now);
  }

  async open(
    client: RedisClient,
    targets: readonly CancelTarget[],
    closers: CloserStack,
  ): Promise<void> {
    const byChannel = new Map(targets.map((one) => [one.partition.gate.cancelChannel, one]));
    const isUnheard = (error: unknown) =>
      this.#logger.warn({ err: error }, "cancellations are not heard of");
    const subscriber = new RedisSubscriber(client, {
      onMessage: (channel, taskId) => {
        this.add(taskId);
        byChannel.get(channel)?.cancel(taskId);
      },
      onReturn: () => void this.#catchUp(targets).catch(isUnheard),
      onError: isUnheard,
    });
    closers.push(() => subscriber.close());
    for (const channel of byChannel.keys()) await subscriber.subscribe(channel);
  }

  async #catchUp(targets: readonly CancelTarget[]): Promise<void> {
    for (const { partition, running, cancel } of targets) {
      for (const taskId of running()) {
        const key = `${partition.keys.bullmq}${taskId}`;
        if ((await partition.gate.client.hexists(key, "cx")) === 0) continue;
        this.add(taskId);
        cancel(taskId);
      }
    }
  }
}
