import { randomUUID } from "node:crypto";
import { LogThrottle, type Logger } from "@millrace/core";
import { unlessAway } from "../redis-client.ts";
import type { OpenPartition } from "../partitions/queue-partition.ts";

const LEADER_INTERVAL_MS = 800;
const FOLLOWER_INTERVAL_MS = 2_000;
const TTL_MS = 15_000;
const LEADER_MS = 3_000;
/** Of so many reconciliations one looks at every staged task, whatever the numbers say. */
const THOROUGH_EVERY = 60;

export interface UpkeepParts {
  partition: OpenPartition;
  /** Ends what an interrupted rebalance began. */
  finishMoves: () => Promise<unknown>;
  concurrency: () => number;
  reconcileIntervalMs: number;
  logger: Logger;
}

/**
 * What every worker does besides running tasks: it announces itself, and the one that leads admits
 * what came due and mends the books.
 */
export class Upkeep {
  readonly #parts: UpkeepParts;
  readonly #throttle: LogThrottle;
  readonly #id = randomUUID();
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> = Promise.resolve();
  #reconciledAt = 0;
  #reconciliations = 0;
  #isClosed = false;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
    this.#throttle = new LogThrottle(parts.logger);
  }

  async start(): Promise<void> {
    await this.#tick();
    this.#schedule(LEADER_INTERVAL_MS);
  }

  /** Leaves the fleet; another worker leads from then on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const left = this.#working.then(() => this.#tick(0)).catch(() => {});
    await unlessAway(this.#parts.partition.gate.client, left);
  }

  #schedule(delayMs: number): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#working = this.#work();
    }, delayMs);
    this.#timer.unref();
  }

  async #work(): Promise<void> {
    let nextMs = FOLLOWER_INTERVAL_MS;
    try {
      const { isLeader, nextDueAt } = await this.#tick();
      if (isLeader) {
        const untilDueMs = (nextDueAt ?? Number.POSITIVE_INFINITY) - Date.now();
        nextMs = Math.min(LEADER_INTERVAL_MS, Math.max(20, untilDueMs));
        await this.#reconcile();
      }
    } catch (error) {
      this.#throttle.warn("upkeep", () => ({ err: error }), "queue upkeep failed, trying again");
    }
    this.#schedule(nextMs);
  }

  async #reconcile(): Promise<void> {
    const { partition, finishMoves, reconcileIntervalMs, logger } = this.#parts;
    if (performance.now() - this.#reconciledAt < reconcileIntervalMs) return;
    this.#reconciledAt = performance.now();
    await finishMoves();
    const result = await partition.reconcile(++this.#reconciliations % THOROUGH_EVERY === 0);
    if (result.freed + result.dropped + result.staged > 0) {
      logger.info({ ...result, queue: partition.name }, "reconciled the gate with BullMQ");
    }
  }

  #tick(concurrency = this.#parts.concurrency()) {
    return this.#parts.partition.gate.tick({
      id: this.#id,
      concurrency,
      ttlMs: TTL_MS,
      leaderMs: LEADER_MS,
    });
  }
}
