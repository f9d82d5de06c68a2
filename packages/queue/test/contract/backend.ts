import assert from "node:assert/strict";
import { silentLogger } from "@millrace/core";
import { Registry } from "prom-client";
import { expect } from "vitest";
import type { Queue } from "../../src/queue.ts";
import type { QueueOptions } from "../../src/queue-options.ts";
import type { RoleAllocationInput } from "../../src/tenants/plan.ts";
import type { TenantStore } from "../../src/tenants/tenant-store.ts";
import type { MemoryBackend, WithoutConnection } from "../../src/testing/memory-backend.ts";
import type { QueueWorker } from "../../src/worker/queue-worker.ts";
import type { QueueWorkerOptions } from "../../src/worker/worker-options.ts";

/** What the contract is checked on: the package's factories, and time that passes. */
export interface Backend extends Omit<MemoryBackend, "clock" | "settled"> {
  now(): number;
  /** Lets time pass until the condition holds. */
  until<Result>(condition: () => Result | Promise<Result>): Promise<NonNullable<Result>>;
  /** What is wrong with the books of a queue that is at rest, if it keeps any. */
  violations(queue: Queue<Data>): Promise<string[]>;
  close(): Promise<void>;
}

export type OpenBackend = () => Promise<Backend>;

export type Data = Record<string, unknown>;

type MadeQueueOptions = Partial<WithoutConnection<QueueOptions<Data, unknown>>>;

/** A started tenant store and queue; everyone gets plan `basic` (cap 2 in every role). */
export class System {
  readonly backend: Backend;
  readonly tenants: TenantStore;
  readonly #queues: Array<Queue<Data>> = [];
  readonly #workers: QueueWorker[] = [];
  #queue: Queue<Data> | undefined;

  private constructor(backend: Backend) {
    this.backend = backend;
    this.tenants = backend.createTenantStore({
      plans: { basic: { roles: { "*": { maxConcurrent: 2 } } } },
      defaultPlan: "basic",
      logger: silentLogger,
    });
  }

  static async open(backend: Backend, options: MadeQueueOptions = {}): Promise<System> {
    const system = new System(backend);
    await system.tenants.start();
    system.#queue = await system.makeQueue(options);
    return system;
  }

  get queue(): Queue<Data> {
    if (!this.#queue) throw new Error("the system is not open");
    return this.#queue;
  }

  async makeQueue(options: MadeQueueOptions = {}): Promise<Queue<Data>> {
    const queue = this.backend.createQueue<Data>({
      role: "copywriter",
      tenants: this.tenants,
      logger: silentLogger,
      metrics: new Registry(),
      depthIntervalMs: 0,
      retryBackoffMs: 20,
      ...options,
    });
    await queue.start();
    this.#queues.push(queue);
    return queue;
  }

  async worker(
    handler: QueueWorkerOptions<Data, unknown>["handler"],
    options: Partial<QueueWorkerOptions<Data, unknown>> = {},
  ): Promise<QueueWorker> {
    const worker = this.backend.createQueueWorker<Data>({
      queue: this.queue,
      handler,
      logger: silentLogger,
      metrics: new Registry(),
      ...options,
    });
    await worker.start();
    this.#workers.push(worker);
    return worker;
  }

  /** Sets what one tenant may do in the role of the first queue. */
  allow(tenantId: string, allocation: RoleAllocationInput): Promise<void> {
    return this.tenants.set(tenantId, { plan: "basic", roles: { copywriter: allocation } });
  }

  async add(data: Data = {}, more: object = {}): Promise<string> {
    return (await this.queue.add({ tenantId: "acme", data, ...more })).taskId;
  }

  /** Waits until a task is in a state; gives it. */
  reaches(taskId: string, state: string, queue = this.queue) {
    return this.backend.until(async () => {
      const view = await queue.get(taskId);
      return view?.state === state ? view : undefined;
    });
  }

  async held(tenantId = "acme"): Promise<number> {
    const { tenants } = await this.queue.status();
    return tenants.find((tenant) => tenant.tenantId === tenantId)?.held ?? 0;
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close({ graceMs: 0 })));
    for (const queue of this.#queues) {
      if (queue.state === "running") {
        assert.deepEqual(await this.backend.violations(queue), []);
        await queue.obliterate();
      }
      await queue.close();
    }
    await this.tenants.close();
    await this.backend.close();
  }
}

/** A handler that runs until it is told to go on. */
export function held() {
  const waiting: Array<{ taskId: string; tenantId: string; go(result?: unknown): void }> = [];
  return {
    waiting,
    handler: ({ taskId, tenantId }: { taskId: string; tenantId: string }) =>
      new Promise<unknown>((resolve) => waiting.push({ taskId, tenantId, go: resolve })),
    /** Ends the run that began first. */
    goOn: (result?: unknown) => waiting.shift()?.go(result),
  };
}

/** A rejection's code. */
export const code = (name: string): unknown => expect.objectContaining({ code: name });
