import { silentLogger } from "@millrace/core";
import {
  createQueue,
  createQueueWorker,
  createTenantStore,
  type TaskHandler,
} from "@millrace/queue";
import { startRedis } from "@millrace/services";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { Registry } from "prom-client";

type Job = { tenantId: string; at: number };

/** One way of running jobs, over a Redis of its own. */
export interface Rig {
  name: "raw" | "gate";
  redis: Redis;
  /** `at` is stored with the job. */
  add(tenantId: string, priority: "urgent" | "normal" | "batch"): Promise<unknown>;
  /** Starts running jobs; `onStart` hears of each. */
  work(options: {
    concurrency: number;
    workMs: number;
    onStart: (job: Job) => void;
  }): Promise<{ starts(): number; done(): number; stop(): Promise<void> }>;
  close(): Promise<void>;
}

const PRIORITIES = { urgent: 1, normal: 5, batch: 10 };
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** BullMQ as it comes. */
export async function rawRig(): Promise<Rig> {
  const service = await startRedis();
  const redis = new Redis(service.url, { maxRetriesPerRequest: null });
  const queue = new Queue("bench", { connection: redis });
  return {
    name: "raw",
    redis,
    add: (tenantId, priority) =>
      queue.add(
        "job",
        { tenantId, at: performance.now() },
        {
          priority: PRIORITIES[priority],
          removeOnComplete: { age: 86_400 },
          attempts: 3,
        },
      ),
    async work({ concurrency, workMs, onStart }) {
      let starts = 0;
      let done = 0;
      const worker = new Worker(
        "bench",
        async (job) => {
          starts++;
          onStart(job.data as Job);
          if (workMs > 0) await pause(workMs);
          done++;
        },
        { connection: redis, concurrency },
      );
      await worker.waitUntilReady();
      return { starts: () => starts, done: () => done, stop: () => worker.close() };
    },
    async close() {
      await queue.close();
      redis.disconnect();
      await service.remove();
    },
  };
}

/** The harness with a cap for every tenant. */
export async function gateRig(maxConcurrent: number): Promise<Rig> {
  const service = await startRedis();
  const redis = new Redis(service.url, { maxRetriesPerRequest: null });
  const tenants = createTenantStore({
    connection: redis,
    plans: { bench: { roles: { "*": { maxConcurrent } } } },
    defaultPlan: "bench",
    cacheMs: 60_000,
  });
  await tenants.start();
  const queue = createQueue<{ at: number }>({
    connection: redis,
    role: "bench",
    tenants,
    logger: silentLogger,
    metrics: new Registry(),
    depthIntervalMs: 0,
  });
  await queue.start();
  return {
    name: "gate",
    redis,
    add: (tenantId, priority) => queue.add({ tenantId, priority, data: { at: performance.now() } }),
    async work({ concurrency, workMs, onStart }) {
      let starts = 0;
      let done = 0;
      const handler: TaskHandler<{ at: number }, unknown> = async ({ tenantId, data }) => {
        starts++;
        onStart({ tenantId, at: data.at });
        if (workMs > 0) await pause(workMs);
        done++;
        return null;
      };
      const worker = createQueueWorker({
        queue,
        handler,
        concurrency,
        logger: silentLogger,
        metrics: new Registry(),
      });
      await worker.start();
      return {
        starts: () => starts + worker.status().parked,
        done: () => done,
        stop: () => worker.close(),
      };
    },
    async close() {
      await queue.close();
      await tenants.close();
      redis.disconnect();
      await service.remove();
    },
  };
}

/** CPU seconds that Redis has used. */
export async function redisCpuSeconds(redis: Redis): Promise<number> {
  const info = await redis.info("cpu");
  const read = (name: string) => Number(new RegExp(`^${name}:(.*)$`, "m").exec(info)?.[1] ?? 0);
  return read("used_cpu_user") + read("used_cpu_sys");
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
