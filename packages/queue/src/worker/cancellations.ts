import type { CloserStack, Logger } from "@millrace/core";
import type { QueuePartition } from "../partitions/queue-partition.ts";
import type { RedisClient } from "../redis-client.ts";
import { RedisSubscriber } from "../redis-subscriber.ts";

/** How long an id is remembered that was cancelled while its run was on its way here, in milliseconds. */
const REMEMBER_MS = 60_000;

/** A task as a cancellation means it: another one may be added under its id once it has gone. */
export interface CancelledTask {
  id?: string | undefined;
  /** When it was added. */
  timestamp: number | string;
}

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
  has(task: CancelledTask): boolean {
    return this.#recent.has(nameOf(task));
  }

  add(task: CancelledTask): void {
    this.#remember(nameOf(task));
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
      onMessage: (channel, name) => {
        this.#remember(name);
        byChannel.get(channel)?.cancel(name.slice(name.indexOf(":") + 1));
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
        const [mark, timestamp] = await partition.gate.client.hmget(key, "cx", "timestamp");
        if (!mark || !timestamp) continue;
        this.add({ id: taskId, timestamp });
        cancel(taskId);
      }
    }
  }

  #remember(name: string): void {
    const now = performance.now();
    for (const [old, at] of this.#recent) {
      if (now - at < REMEMBER_MS) break;
      this.#recent.delete(old);
    }
    this.#recent.delete(name);
    this.#recent.set(name, now);
  }
}

/** As lua/cancel.lua publishes it. */
function nameOf({ id, timestamp }: CancelledTask): string {
  return `${timestamp}:${id}`;
}
