import { Job, type JobsOptions, type Queue as BullmqQueue, type RedisClient } from "bullmq";
import { type AcceptedTask, acceptTask } from "./accept-task.ts";
import { farDelayMs } from "./gate/far-delay.ts";
import type { Gate, StageOutcome } from "./gate/gate.ts";
import type { GateKeys } from "./gate/gate-keys.ts";
import { refusalOf } from "./gate/refusal.ts";
import type { QueueCounters } from "./metrics.ts";
import type { AddedTask, NewTask } from "./new-task.ts";
import type { ResolvedQueueOptions } from "./queue-options.ts";
import { throughSlotMove } from "./slot-move.ts";
import { PRIORITIES, type TaskEnvelope } from "./task.ts";
import { monthOf } from "./tenants/month.ts";
import { PUT_OFF_FIELD } from "./worker/start-limit.ts";

interface ProducerParts {
  options: ResolvedQueueOptions;
  bullmq: BullmqQueue;
  /** The gate's connection as BullMQ wraps it: commands on both keep their order. */
  bullmqClient: RedisClient;
  gate: Gate;
  counters: QueueCounters;
  /** Where deduplication windows are kept: they outlive a tenant's move to another partition. */
  roleKeys: GateKeys;
}

const REMOVED_WHEN_REFUSED: ReadonlySet<StageOutcome> = new Set([
  "tenant-disabled",
  "quota-exceeded",
  "staged-full",
  "tenant-moved",
]);

/**
 * Adds tasks in one script. A task with a parent, or whose id is taken, goes the long way: BullMQ's own
 * add, then the gate's stage, as two commands in one write.
 */
export class Producer {
  readonly #parts: ProducerParts;

  constructor(parts: ProducerParts) {
    this.#parts = parts;
  }

  add(task: NewTask<unknown>): Promise<AddedTask> {
    return acceptTask(this.#parts.options, task, (accepted) => {
      const store = () => this.#store(accepted);
      return task.deduplication
        ? this.#once(task.tenantId, task.deduplication, accepted.taskId, store)
        : store();
    });
  }

  /**
   * BullMQ's own deduplication key goes when its job is cleaned away; this one lasts its window. Until
   * the task is stored it lasts only seconds, so that a producer that dies blocks nobody.
   */
  async #once(
    tenantId: string,
    { key, windowMs }: { key: string; windowMs: number },
    taskId: string,
    store: () => Promise<AddedTask>,
  ): Promise<AddedTask> {
    const { gate, counters, roleKeys } = this.#parts;
    const name = `${roleKeys.gate}once:${tenantId}:${key}`;
    const claimMs = Math.min(windowMs, 10_000);
    const first = await gate.client.set(name, taskId, "PX", claimMs, "NX");
    if (first === null) {
      const winner = await gate.client.get(name);
      // The window ended between the two commands.
      if (winner === null) return this.#once(tenantId, { key, windowMs }, taskId, store);
      counters.duplicates++;
      return { taskId: winner, isDuplicate: true };
    }
    try {
      const added = await store();
      await gate.client.pexpire(name, windowMs);
      return added;
    } catch (error) {
      await gate.client.del(name);
      throw error;
    }
  }

  async #store({ task, taskId, envelope, allocation }: AcceptedTask): Promise<AddedTask> {
    const { options, bullmq, bullmqClient, gate, counters } = this.#parts;
    const now = Date.now();
    const jobOptions = this.#jobOptions(task, taskId, now);
    const request = {
      tenantId: task.tenantId,
      jobId: taskId,
      limits: allocation.limits,
      dueAt: task.delayMs === undefined ? undefined : now + task.delayMs,
      month: monthOf(now, allocation.timezone),
    };
    if (task.parent === undefined) {
      const outcome = await gate.add({
        ...request,
        name: options.role,
        priority: jobOptions.priority,
        timestamp: now,
        delayMs: jobOptions.delay,
        dataJson: JSON.stringify(envelope),
        optionsJson: JSON.stringify(jobOptions),
      });
      if (outcome !== "taken") return this.#answer(outcome, task.tenantId, taskId);
    }
    const job = new Job(bullmq, options.role, envelope, jobOptions, taskId);
    // One tick, one socket: the stage command follows the add without a round trip between them. A
    // producer that dies in between is repaired by reconcile (MULTI halves the throughput: 14,000
    // against 29,000 adds a second).
    const adding = throughSlotMove(gate.client, () => job.addJob(bullmqClient, parentOptions(job)));
    const staging = gate.stage(request);
    const [storedId, firstOutcome] = await Promise.all([adding, staging]);
    if (storedId !== taskId) {
      counters.duplicates++;
      return { taskId: storedId, isDuplicate: true };
    }
    // After SCRIPT FLUSH or a redirect in a cluster the second command may overtake the first.
    const outcome = firstOutcome === "missing" ? await gate.stage(request) : firstOutcome;
    if (REMOVED_WHEN_REFUSED.has(outcome)) await bullmq.remove(taskId);
    return this.#answer(outcome, task.tenantId, taskId);
  }

  #answer(outcome: StageOutcome, tenantId: string, taskId: string): AddedTask {
    const { options, counters } = this.#parts;
    if (outcome === "staged") {
      counters.added++;
      return { taskId, isDuplicate: false };
    }
    const refusal = refusalOf(outcome, tenantId, options.role, taskId);
    if (refusal === undefined) {
      counters.duplicates++;
      return { taskId, isDuplicate: true };
    }
    counters.refused++;
    throw refusal;
  }

  /** Takes a task over from another partition as it is, not counted against the quota again. */
  async adopt(from: Job): Promise<void> {
    const { options, bullmq, bullmqClient, gate } = this.#parts;
    const taskId = from.id ?? "";
    const { tenantId } = from.data as TaskEnvelope;
    const { limits } = await options.tenants.allocation(tenantId, options.role);
    const job = new Job(
      bullmq,
      from.name,
      from.data,
      { ...from.opts, jobId: taskId, delay: farDelayMs(from.timestamp), timestamp: from.timestamp },
      taskId,
    );
    await job.addJob(bullmqClient, {});
    // The start count goes on: it fences one execution against another.
    const starts = from.attemptsStarted;
    await gate.client.hset(`${gate.keys.bullmq}${taskId}`, "ats", starts, PUT_OFF_FIELD, starts);
    await gate.stage({ tenantId, jobId: taskId, limits });
    await from.remove();
  }

  #jobOptions(
    task: NewTask<unknown>,
    taskId: string,
    now: number,
  ): JobsOptions & { priority: number; delay: number } {
    const { options } = this.#parts;
    return {
      jobId: taskId,
      priority: PRIORITIES[task.priority ?? "normal"],
      delay: farDelayMs(now),
      timestamp: now,
      attempts: task.attempts ?? options.attempts,
      backoff: { type: "exponential", delay: options.retryBackoffMs, jitter: 0.5 },
      removeOnComplete: { age: options.keepCompletedSeconds },
      removeOnFail: { age: options.keepFailedSeconds },
      // A failed child does not hold its parent for ever: it is among the failures the parent reads.
      ...(task.parent && { parent: task.parent, ignoreDependencyOnFailure: true }),
    };
  }
}

function parentOptions(job: Job) {
  return job.parentKey === undefined
    ? {}
    : { parentKey: job.parentKey, parentDependenciesKey: `${job.parentKey}:dependencies` };
}
