import { type Job, Queue as BullmqQueue, Worker } from "bullmq";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { farDelayMs } from "../../src/gate/far-delay.ts";
import { Gate } from "../../src/gate/gate.ts";
import { gateKeys } from "../../src/gate/gate-keys.ts";
import { findViolations } from "../../src/gate/invariants.ts";
import { connect, uniquePrefix } from "../support/redis.ts";

const TENANTS = ["a", "b", "c"] as const;
const START = Date.now();

/** A gate driven step by step on a real Redis, with BullMQ's own scripts and a clock of its own. */
class Rig {
  readonly client = connect();
  readonly keys = gateKeys(uniquePrefix(), "agent__model");
  readonly bullmq = new BullmqQueue(this.keys.queueName, {
    connection: this.client,
    prefix: this.keys.bullmqPrefix,
    skipVersionCheck: true,
  });
  now = START;
  readonly gate = new Gate(this.client, this.keys, () => this.now);
  readonly worker = new Worker(this.keys.queueName, null, {
    connection: this.client,
    prefix: this.keys.bullmqPrefix,
    skipVersionCheck: true,
    autorun: false,
  });
  version = 1;
  /** Runs in hand, with the tenant's cap as it was when they started. */
  readonly running = new Map<string, { job: Job; tenantId: string }>();
  readonly finished = new Set<string>();
  readonly removed = new Set<string>();
  readonly accepted = new Map<string, string>();
  readonly caps = new Map<string, number>();

  async configure(tenantId: string, cap: number, weight = 1): Promise<void> {
    this.caps.set(tenantId, cap);
    const limits = { version: this.version++, json: JSON.stringify({ cap, weight, enabled: 1 }) };
    await this.gate.configureTenant(tenantId, { limits });
    // Twice: every script is idempotent.
    await this.gate.configureTenant(tenantId, { limits });
  }

  async add(tenantId: string, id: string, priority: number): Promise<void> {
    await this.bullmq.add(
      "x",
      { tenantId, data: 1 },
      {
        jobId: id,
        priority,
        delay: farDelayMs(Date.now()),
        attempts: 5,
        removeOnComplete: false,
        removeOnFail: false,
      },
    );
  }

  async stage(tenantId: string, id: string): Promise<void> {
    const outcome = await this.gate.stage({ tenantId, jobId: id });
    if (outcome === "staged") this.accepted.set(id, tenantId);
    assert.match(await this.gate.stage({ tenantId, jobId: id }), /^(known|past-staging)$/);
  }

  /** Takes the next job as a worker would, with the guard. */
  async take(): Promise<void> {
    const job = (await this.worker.getNextJob("token", { block: false })) as Job | undefined;
    if (!job?.id) return;
    const { tenantId } = job.data as { tenantId: string };
    const attempt = job.attemptsStarted;
    const granted = Number(await this.client.hget(`${this.keys.bullmq}${job.id}`, "gs"));
    const isProven = granted === attempt;
    if (
      !isProven &&
      (await this.gate.acquire({ tenantId, jobId: job.id, attempt })) === "refused"
    ) {
      await job.moveToDelayed(Date.now() + farDelayMs(Date.now()), "token").catch(() => {});
      await this.gate.stage({ tenantId, jobId: job.id });
      return;
    }
    this.running.set(job.id, { job, tenantId });
    const mine = [...this.running.values()].filter((run) => run.tenantId === tenantId).length;
    assert.ok(mine <= (this.caps.get(tenantId) ?? 1), `${tenantId} runs ${mine}`);
  }

  async close(): Promise<void> {
    await this.worker.close(true);
    await this.bullmq.obliterate({ force: true });
    await this.bullmq.close();
    this.client.disconnect();
  }
}

type Command = fc.AsyncCommand<object, Rig>;

class Step implements Command {
  readonly #label: string;
  readonly #run: (rig: Rig) => Promise<void>;
  constructor(label: string, run: (rig: Rig) => Promise<void>) {
    this.#label = label;
    this.#run = run;
  }
  check(): boolean {
    return true;
  }
  async run(_model: object, rig: Rig): Promise<void> {
    await this.#run(rig);
    assert.deepEqual(await findViolations({ client: rig.client, partitions: [rig] }), []);
    for (const tenant of TENANTS) {
      const held = await rig.client.scard(`${rig.keys.gate}l:${tenant}`);
      const running = [...rig.running.values()].filter((run) => run.tenantId === tenant).length;
      assert.ok(running <= held, `${tenant} runs ${running} with ${held} slots`);
    }
  }
  toString(): string {
    return this.#label;
  }
}

const tenant = fc.constantFrom(...TENANTS);
const pick = fc.nat({ max: 40 });
const priority = fc.constantFrom(1, 2, 5, 7, 10);

function nth<Value>(values: Iterable<Value>, index: number): Value | undefined {
  const all = [...values];
  return all.length === 0 ? undefined : all[index % all.length];
}

const commands = [
  fc.tuple(tenant, pick, priority).map(
    ([t, n, p]) =>
      new Step(`add ${t}-${n} p${p}`, async (rig) => {
        if (rig.removed.has(`${t}-${n}`)) return;
        await rig.add(t, `${t}-${n}`, p);
        await rig.stage(t, `${t}-${n}`);
      }),
  ),
  fc.constant(new Step("take", (rig) => rig.take())),
  fc.constant(new Step("take", (rig) => rig.take())),
  pick.map(
    (n) =>
      new Step(`complete #${n}`, async (rig) => {
        const run = nth(rig.running, n);
        if (!run) return;
        const [id, { job, tenantId }] = run;
        rig.running.delete(id);
        const settled = { tenantId, jobId: id, attempt: job.attemptsStarted };
        await rig.gate.settle([settled]);
        await job.moveToCompleted(1, "token", false);
        rig.finished.add(id);
        assert.equal(await rig.gate.settle([settled]), 0);
      }),
  ),
  pick.map(
    (n) =>
      new Step(`fail and retry #${n}`, async (rig) => {
        const run = nth(rig.running, n);
        if (!run) return;
        const [id, { job, tenantId }] = run;
        rig.running.delete(id);
        await rig.gate.settle([{ tenantId, jobId: id, attempt: job.attemptsStarted }]);
        await job.moveToFailed(new Error("x"), "token", false);
        if ((await job.getState()) === "failed") rig.finished.add(id);
      }),
  ),
  pick.map(
    (n) =>
      new Step(`lose a settle of #${n}`, async (rig) => {
        const run = nth(rig.running, n);
        if (!run) return;
        const [id, { job, tenantId }] = run;
        rig.running.delete(id);
        await job.moveToCompleted(1, "token", false);
        rig.finished.add(id);
        await rig.gate.reconcileTenant(tenantId);
        await rig.gate.reconcileTenant(tenantId);
      }),
  ),
  pick.map(
    (n) =>
      new Step(`promote #${n} by hand`, async (rig) => {
        const id = nth(rig.accepted.keys(), n);
        if (id === undefined) return;
        const job = await rig.bullmq.getJob(id);
        if (job && (await job.isDelayed())) await job.promote();
        await rig.gate.reconcileTenant(rig.accepted.get(id) ?? "");
      }),
  ),
  pick.map(
    (n) =>
      new Step(`remove #${n} behind our back`, async (rig) => {
        const id = nth(rig.accepted.keys(), n);
        if (id === undefined || rig.running.has(id)) return;
        if ((await rig.bullmq.remove(id)) !== 1) return;
        rig.removed.add(id);
        await rig.gate.reconcileTenant(rig.accepted.get(id) ?? "");
      }),
  ),
  fc.tuple(tenant, pick).map(
    ([t, n]) =>
      new Step(`producer of ${t}-x${n} dies`, async (rig) => {
        await rig.add(t, `${t}-x${n}`, 5);
        await rig.gate.restage("", 1_000);
        await rig.gate.restage("", 1_000);
        rig.accepted.set(`${t}-x${n}`, t);
      }),
  ),
  fc.tuple(tenant, fc.integer({ min: 1, max: 4 }), fc.constantFrom(1, 2, 4)).map(
    ([t, cap, weight]) =>
      new Step(`cap of ${t} is ${cap}`, async (rig) => {
        const held = await rig.client.scard(`${rig.keys.gate}l:${t}`);
        // The checker compares with the cap of now; what a lowered cap leaves running is its own test.
        await rig.configure(t, Math.max(cap, held), weight);
      }),
  ),
  tenant.map(
    (t) =>
      new Step(
        `pause ${t}`,
        async (rig) => void (await rig.gate.configureTenant(t, { isPaused: true })),
      ),
  ),
  tenant.map(
    (t) =>
      new Step(
        `resume ${t}`,
        async (rig) => void (await rig.gate.configureTenant(t, { isPaused: false })),
      ),
  ),
  fc.constant(
    new Step("feed, after a while", async (rig) => {
      rig.now += 1_000;
      await rig.gate.feed();
    }),
  ),
];

describe("the gate under random sequences", () => {
  it("keeps every invariant after every step, and loses nothing", async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands(commands, { maxCommands: 100, size: "+1" }), async (steps) => {
        const rig = new Rig();
        try {
          for (const name of TENANTS) await rig.configure(name, 2);
          await fc.asyncModelRun(() => ({ model: {}, real: rig }), steps);
          for (const name of TENANTS) await rig.gate.configureTenant(name, { isPaused: false });
          // Run everything to its end.
          for (let round = 0; round < 1_000; round++) {
            for (const [id, { job, tenantId }] of rig.running) {
              rig.running.delete(id);
              await rig.gate.settle([{ tenantId, jobId: id, attempt: job.attemptsStarted }]);
              await job.moveToCompleted(1, "token", false);
              rig.finished.add(id);
            }
            await rig.gate.feed();
            await promoteBackoffs(rig);
            await rig.take();
            const counts = await rig.bullmq.getJobCounts(
              "wait",
              "prioritized",
              "active",
              "delayed",
            );
            if (Object.values(counts).every((count) => count === 0)) break;
          }
          const lost = [...rig.accepted.keys()].filter(
            (id) => !rig.removed.has(id) && !rig.finished.has(id),
          );
          expect(lost).toEqual([]);
          expect(await rig.gate.activeTenants()).toEqual([]);
        } finally {
          await rig.close();
        }
      }),
      { numRuns: Number(process.env["MILLRACE_MODEL_RUNS"] ?? 6), endOnFailure: true },
    );
  }, 60_000);
});

/** Lets real backoffs pass without waiting for them. */
async function promoteBackoffs(rig: Rig): Promise<void> {
  const delayed = await rig.bullmq.getDelayed(0, 50);
  for (const job of delayed) {
    const score = Number(await rig.client.zscore(`${rig.keys.bullmq}delayed`, job.id ?? ""));
    if (score / 4096 < Date.now() + 3_600_000) await job.promote();
  }
}

describe("the order of admissions", () => {
  let rig: Rig;
  beforeAll(() => {
    rig = new Rig();
  });
  afterAll(() => rig.close());

  it("admits a tenant's own tasks by priority, then in the order of arrival", async () => {
    await rig.configure("solo", 1_000);
    await rig.gate.configureTenant("solo", { isPaused: true });
    const expected: Array<{ priority: number; index: number; id: string }> = [];
    for (let index = 0; index < 30; index++) {
      const p = [5, 1, 10][index % 3] ?? 5;
      await rig.add("solo", `solo-${index}`, p);
      await rig.gate.stage({ tenantId: "solo", jobId: `solo-${index}` });
      expected.push({ priority: p, index, id: `solo-${index}` });
    }
    expected.sort((one, other) => one.priority - other.priority || one.index - other.index);
    await rig.gate.configureTenant("solo", { isPaused: false });
    const order: string[] = [];
    for (let round = 0; round < 30; round++) {
      const job = await rig.worker.getNextJob("token", { block: false });
      order.push(job.id ?? "");
      await rig.gate.settle([
        { tenantId: "solo", jobId: job.id ?? "", attempt: job.attemptsStarted },
      ]);
      await job.moveToCompleted(1, "token", false);
    }
    expect(order).toEqual(expected.map(({ id }) => id));
  });
});
