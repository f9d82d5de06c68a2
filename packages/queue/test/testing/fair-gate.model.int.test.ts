import { type Job, Queue as BullmqQueue, Worker } from "bullmq";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, it } from "vitest";
import { farDelayMs } from "../../src/gate/far-delay.ts";
import { Gate, type SettledRun, type StageOutcome } from "../../src/gate/gate.ts";
import { gateKeys } from "../../src/gate/gate-keys.ts";
import type { TenantLimits } from "../../src/gate/tenant-limits.ts";
import { FairGate } from "../../src/testing/fair-gate.ts";
import { ReadyLine } from "../../src/testing/ready-line.ts";
import { newRecord, type TaskRecord } from "../../src/testing/task-record.ts";
import { connect, uniquePrefix } from "../support/redis.ts";

const TENANTS = ["a", "b", "c", "d"] as const;
const START = Date.now();
const client = connect();
afterAll(() => client.quit());

/** The gate in Redis and the one in memory, driven by the same steps at the same time. */
class Pair {
  now = START;
  readonly keys = gateKeys(uniquePrefix(), "agent__pair");
  readonly #redis = { connection: client, prefix: this.keys.bullmqPrefix, skipVersionCheck: true };
  readonly bullmq = new BullmqQueue(this.keys.queueName, this.#redis);
  readonly worker = new Worker(this.keys.queueName, null, { ...this.#redis, autorun: false });
  readonly gate = new Gate(client, this.keys, () => this.now);
  readonly line = new ReadyLine();
  readonly memory = new FairGate({
    now: () => this.now,
    readyTasks: () => this.line.length,
    admit: (admitted) => {
      const task = admitted as TaskRecord;
      task.grantedFor = task.attemptsStarted + 1;
      this.line.enter(task, false);
    },
  });
  readonly tasks = new Map<string, TaskRecord>();
  readonly running = new Map<string, { job: Job; task: TaskRecord }>();
  /** Starts that ended; settling one again must not free a later one's slot. */
  readonly ended: SettledRun[] = [];
  #version = 0;

  async configure(tenantId: string, fields: Record<string, number>): Promise<void> {
    const limits: TenantLimits = { version: ++this.#version, json: JSON.stringify(fields) };
    await this.gate.configureTenant(tenantId, { limits });
    this.memory.configure(tenantId, { limits });
  }

  async pause(tenantId: string, isPaused: boolean): Promise<void> {
    await this.gate.configureTenant(tenantId, { isPaused });
    this.memory.configure(tenantId, { isPaused });
  }

  async add(
    tenantId: string,
    taskId: string,
    { priority, dueInMs }: { priority: number; dueInMs: number | undefined },
  ): Promise<void> {
    if (this.tasks.has(taskId)) return;
    const delay = farDelayMs(Date.now());
    const keep = { removeOnComplete: false, removeOnFail: false };
    await this.bullmq.add("x", { tenantId, data: 1 }, { jobId: taskId, priority, delay, ...keep });
    const dueAt = dueInMs === undefined ? undefined : this.now + dueInMs;
    const outcome = await this.gate.stage({ tenantId, jobId: taskId, dueAt, month: "202601" });
    const task = newRecord({
      taskId,
      tenantId,
      priority,
      envelope: { tenantId, agentRole: "pair", data: 1 },
      attempts: 1,
      addedAt: 0,
      parent: undefined,
    });
    const mine: StageOutcome = this.memory.stage(task, { dueAt, month: "202601" });
    if (mine === "staged") this.memory.feedFor(tenantId);
    assert.equal(mine, outcome);
    this.tasks.set(taskId, task);
    if (outcome !== "staged") await this.bullmq.remove(taskId);
  }

  /** Takes the next task from both as a worker would, guard included. */
  async take(): Promise<void> {
    const job = (await this.worker.getNextJob("token", { block: false })) as Job | undefined;
    const task = this.line.take();
    assert.equal(task?.taskId, job?.id);
    if (!job || !task) return;
    task.attemptsStarted++;
    const start = job.attemptsStarted;
    const isGranted = Number(await client.hget(`${this.keys.bullmq}${job.id}`, "gs")) === start;
    assert.equal(task.grantedFor === task.attemptsStarted, isGranted);
    const { tenantId, taskId } = task;
    if (!isGranted) {
      const slot = await this.gate.acquire({ tenantId, jobId: taskId, attempt: start });
      assert.equal(this.memory.acquire(task, start), slot === "granted");
      if (slot !== "granted") return await this.putBack(job, task);
    }
    this.running.set(taskId, { job, task });
  }

  async settle({ job, task }: { job: Job; task: TaskRecord }): Promise<void> {
    this.running.delete(task.taskId);
    const { tenantId, taskId } = task;
    await this.settleStart({ tenantId, jobId: taskId, attempt: job.attemptsStarted });
  }

  /** Settles one start of a task, however late. */
  async settleStart(run: SettledRun): Promise<void> {
    this.ended.push(run);
    const task = this.tasks.get(run.jobId);
    const isFreed = task !== undefined && this.memory.settle(task, run.attempt);
    assert.equal(isFreed ? 1 : 0, await this.gate.settle([run]));
  }

  async complete(run: { job: Job; task: TaskRecord }): Promise<void> {
    await this.settle(run);
    await run.job.moveToCompleted(1, "token", false);
  }

  async putBack(job: Job, task: TaskRecord, dueInMs?: number): Promise<void> {
    this.running.delete(task.taskId);
    const { tenantId, taskId } = task;
    this.ended.push({ tenantId, jobId: taskId, attempt: job.attemptsStarted });
    const dueAt = dueInMs === undefined ? undefined : this.now + dueInMs;
    await job.moveToDelayed(Date.now() + farDelayMs(Date.now()), "token").catch(() => {});
    const outcome = await this.gate.stage({ tenantId, jobId: taskId, dueAt, feed: false });
    assert.equal(this.memory.stage(task, { dueAt }), outcome);
  }

  async retry({ job, task }: { job: Job; task: TaskRecord }): Promise<void> {
    await this.settle({ job, task });
    // A backoff that has passed: BullMQ's own promotion, behind the gate's back.
    await job.moveToDelayed(Date.now() + 3_600_000, "token").catch(() => {});
    await job.promote();
    this.line.enter(task, false);
  }

  async feed(afterMs: number): Promise<void> {
    this.now += afterMs;
    const { admitted, nextDueAt } = await this.gate.feed();
    assert.equal(this.memory.feed(1_000), admitted);
    assert.equal(this.memory.nextDueAt, nextDueAt);
  }

  async fit(concurrency: number): Promise<void> {
    const fleet = { id: "fleet", concurrency, ttlMs: 1e9, leaderMs: 1e9 };
    const { admitted, nextDueAt } = await this.gate.tick(fleet);
    this.memory.window = Math.max(16, Math.ceil(1.5 * concurrency));
    assert.equal(this.memory.feed(this.memory.window), admitted);
    assert.equal(this.memory.nextDueAt, nextDueAt);
  }

  async compare(): Promise<void> {
    const queued = await client.zrange(`${this.keys.bullmq}prioritized`, "0", "-1");
    assert.deepEqual(this.line.ids, queued);
    const theirs = await this.gate.depths(await this.gate.activeTenants());
    const strip = (depths: typeof theirs) =>
      depths
        .map((depth) => ({ ...depth, oldestAt: undefined }))
        .toSorted((one, other) => (one.tenantId < other.tenantId ? -1 : 1));
    assert.deepEqual(strip(this.memory.depths(() => 0)), strip(theirs));
  }

  async close(): Promise<void> {
    await this.worker.close(true);
    await this.bullmq.obliterate({ force: true });
    await this.bullmq.close();
  }
}

class Step implements fc.AsyncCommand<object, Pair> {
  readonly #label: string;
  readonly #run: (pair: Pair) => Promise<void>;
  constructor(label: string, run: (pair: Pair) => Promise<void>) {
    this.#label = label;
    this.#run = run;
  }
  check(): boolean {
    return true;
  }
  async run(_model: object, pair: Pair): Promise<void> {
    await this.#run(pair);
    await pair.compare();
  }
  toString(): string {
    return this.#label;
  }
}

const tenant = fc.constantFrom(...TENANTS);
const pick = fc.nat({ max: 200 });
/** A step on one of the running tasks, if any runs. */
const onRun = (name: string, step: (pair: Pair, run: { job: Job; task: TaskRecord }) => unknown) =>
  pick.map(
    (n) =>
      new Step(`${name} #${n}`, async (pair) => {
        const runs = [...pair.running.values()];
        const run = runs[n % Math.max(1, runs.length)];
        if (run) await step(pair, run);
      }),
  );
const add = fc
  .tuple(
    tenant,
    pick,
    fc.constantFrom(1, 2, 5, 7, 10),
    fc.constantFrom(undefined, undefined, undefined, 0, 500, 3_000),
  )
  .map(
    ([t, n, priority, dueInMs]) =>
      new Step(`add ${t}-${n} p${priority} in ${dueInMs}`, (pair) =>
        pair.add(t, `${t}-${n}`, { priority, dueInMs }),
      ),
  );
const flood = fc.tuple(tenant, pick, fc.constantFrom(1, 5, 10)).map(
  ([t, from, priority]) =>
    new Step(`flood by ${t} from ${from} p${priority}`, async (pair) => {
      for (let n = from; n < from + 12; n++) {
        await pair.add(t, `${t}-${n}`, { priority, dueInMs: undefined });
      }
    }),
);
const take = fc.constant(new Step("take", (pair) => pair.take()));
const complete = onRun("complete", (pair, run) => pair.complete(run));
const work = fc.integer({ min: 5, max: 25 }).map(
  (rounds) =>
    new Step(`work off ${rounds}`, async (pair) => {
      for (let round = 0; round < rounds; round++) {
        await pair.take();
        const [oldest] = pair.running.values();
        if (oldest) await pair.complete(oldest);
      }
    }),
);

const commands = [
  add,
  add,
  flood,
  flood,
  work,
  take,
  take,
  complete,
  complete,
  onRun("retry", (pair, run) => pair.retry(run)),
  onRun("defer", (pair, { job, task }) => pair.putBack(job, task, 700)),
  onRun("put back", (pair, { job, task }) => pair.putBack(job, task)),
  pick.map(
    (n) =>
      new Step(`settle #${n} again`, async (pair) => {
        const run = pair.ended[n % Math.max(1, pair.ended.length)];
        if (run) await pair.settleStart(run);
      }),
  ),
  fc
    .record({
      tenant,
      cap: fc.constantFrom(0, 1, 3, 20),
      weight: fc.constantFrom(1, 2, 3, 7, 0.5),
      enabled: fc.constantFrom(1, 1, 1, 0),
      maxStaged: fc.constantFrom(-1, -1, 3),
      quota: fc.constantFrom(-1, -1, 20),
      // Powers of two: exact in both, whatever their decimals are rounded to.
      ratePerMs: fc.constantFrom(-1, -1, 1 / 256, 1 / 1_024),
      rateBurst: fc.constantFrom(1, 3),
    })
    .map(
      ({ tenant: t, ...fields }) =>
        new Step(`${t} may ${JSON.stringify(fields)}`, (pair) => pair.configure(t, fields)),
    ),
  fc
    .tuple(tenant, fc.boolean())
    .map(
      ([t, isPaused]) =>
        new Step(`${isPaused ? "pause" : "resume"} ${t}`, (pair) => pair.pause(t, isPaused)),
    ),
  fc
    .integer({ min: 0, max: 2_000 })
    .map((ms) => new Step(`feed after ${ms}`, (pair) => pair.feed(ms))),
  fc
    .constantFrom(1, 8, 20, 40)
    .map((concurrency) => new Step(`fleet of ${concurrency}`, (pair) => pair.fit(concurrency))),
];

describe("the gate in memory", () => {
  let runs = 10;
  beforeAll(() => {
    runs = Number(process.env["MILLRACE_MODEL_RUNS"] ?? runs);
  });

  it("decides like the one in Redis at every step of random sequences, order included", async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands(commands, { maxCommands: 150, size: "+2" }), async (steps) => {
        const pair = new Pair();
        try {
          for (const [index, name] of TENANTS.entries()) {
            await pair.configure(name, { cap: 4 * index + 1, weight: index + 1, enabled: 1 });
          }
          await fc.asyncModelRun(() => ({ model: {}, real: pair }), steps);
        } finally {
          await pair.close();
        }
      }),
      { numRuns: runs, endOnFailure: true },
    );
  }, 60_000);

  it("admits a backlog of all classes and weights in the same order to its end", async () => {
    const backlog = fc.array(
      fc.record({
        tenantId: tenant,
        priority: fc.constantFrom(1, 2, 5, 7, 10),
        size: fc.integer({ min: 5, max: 20 }),
      }),
      { minLength: 8, maxLength: 12 },
    );
    const weights = fc.tuple(...TENANTS.map(() => fc.constantFrom(0.5, 1, 2, 3, 7)));
    await fc.assert(
      fc.asyncProperty(weights, backlog, async (given, floods) => {
        const pair = new Pair();
        try {
          for (const [index, name] of TENANTS.entries()) {
            await pair.configure(name, { cap: 1_000, weight: given[index] ?? 1, enabled: 1 });
            await pair.pause(name, true);
          }
          for (const [index, { tenantId, priority, size }] of floods.entries()) {
            for (let n = 0; n < size; n++) {
              await pair.add(tenantId, `${index}-${n}`, { priority, dueInMs: undefined });
            }
          }
          for (const name of TENANTS) await pair.pause(name, false);
          await pair.fit(8);
          while (pair.tasks.size > pair.ended.length) {
            await pair.take();
            for (const run of pair.running.values()) await pair.complete(run);
            await pair.compare();
          }
        } finally {
          await pair.close();
        }
      }),
      { numRuns: Math.ceil(runs / 4), endOnFailure: true },
    );
  }, 60_000);
});
