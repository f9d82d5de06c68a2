import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Registry } from "prom-client";
import { createBuffer } from "../../src/buffer/buffer.ts";
import type { BufferOwner } from "../../src/buffer/durable-buffer.ts";
import type { DurableBuffer } from "../../src/buffer/durable-buffer.ts";
import { type ClaimedBatch, ClaimSession } from "../../src/buffer/claims.ts";
import { createMemoryLogger } from "../../src/testing.ts";
import { temporaryFolder } from "../fixtures/temporary-folder.ts";

const WORKERS = 2;
const MAX_ROWS = 30;

interface Row {
  id: number;
  text: string;
}

interface ModelClaim {
  worker: number;
  rows: Row[];
  attempts: number;
}

/** What the buffer should hold. */
interface Model {
  nextId: number;
  pending: Row[];
  claims: Map<string, ModelClaim>;
  /** Claims of owners that are gone. */
  orphans: Map<string, ModelClaim>;
  purged: number;
}

/** The buffer, opened again from time to time. */
class Real {
  readonly path: string;
  buffer!: DurableBuffer;
  owner!: BufferOwner;
  sessions: ClaimSession[] = [];

  constructor(path: string) {
    this.path = path;
  }

  async open(): Promise<void> {
    this.buffer = createBuffer({
      path: this.path,
      maxRows: MAX_ROWS,
      groupMaxRows: 4,
      logger: createMemoryLogger(),
      metrics: new Registry(),
    });
    await this.buffer.start();
    this.owner = this.buffer.registerOwner();
    this.sessions = Array.from({ length: WORKERS }, (_, worker) => this.openSession(worker));
  }

  openSession(worker: number): ClaimSession {
    return new ClaimSession({
      path: this.path,
      owner: this.owner.owner,
      worker,
      durability: "process",
    });
  }

  session(worker: number): ClaimSession {
    const session = this.sessions[worker];
    if (session === undefined) throw new Error(`no worker ${worker}`);
    return session;
  }

  async close(): Promise<void> {
    for (const session of this.sessions) session.close();
    this.owner.release();
    await this.buffer.close();
  }
}

type Command = fc.AsyncCommand<Model, Real>;

function rowsOf(batch: ClaimedBatch): Row[] {
  return batch.payloads.map(({ id, payload }) => ({ id, text: payload.toString() }));
}

function checkTotals(model: Model, { buffer }: Real): void {
  const held = [...model.claims.values(), ...model.orphans.values()].flatMap(({ rows }) => rows);
  const bytes = (rows: Row[]) => rows.reduce((sum, { text }) => sum + text.length, 0);
  expect(buffer.status()).toMatchObject({
    rows: model.pending.length + held.length,
    bytes: bytes(model.pending) + bytes(held),
    pendingRows: model.pending.length,
    pendingBytes: bytes(model.pending),
    appendedRows: model.nextId - 1,
    purgedRows: model.purged,
  });
}

function append(texts: string[]): Command {
  return {
    check: () => true,
    toString: () => `append(${texts.length})`,
    async run(model, real) {
      const held = model.nextId - 1 - model.purged;
      const results = await Promise.allSettled(
        texts.map((text) => real.buffer.append(Buffer.from(text))),
      );
      for (const [index, text] of texts.entries()) {
        const fits = held + index < MAX_ROWS;
        expect(results[index]?.status).toBe(fits ? "fulfilled" : "rejected");
        if (fits) model.pending.push({ id: model.nextId++, text });
      }
      checkTotals(model, real);
    },
  };
}

function claim(worker: number, maxRows: number): Command {
  return {
    check: () => true,
    toString: () => `claim(${worker}, ${maxRows})`,
    async run(model, real) {
      const batch = real.session(worker).claim({ maxRows, maxBytes: 1e6 });
      const rows = model.pending.splice(0, maxRows);
      if (rows.length === 0) {
        expect(batch).toBeUndefined();
        return;
      }
      expect(batch).toMatchObject({ earlierAttempts: 0, crashes: 0 });
      if (batch === undefined) return;
      expect(rowsOf(batch)).toEqual(rows);
      model.claims.set(batch.batchId, { worker, rows, attempts: 1 });
      checkTotals(model, real);
    },
  };
}

function settle(choice: number): Command {
  return {
    check: (model) => model.claims.size > 0,
    toString: () => `settle(${choice})`,
    async run(model, real) {
      const [batchId, held] = [...model.claims][choice % model.claims.size] ?? ["", undefined];
      if (held === undefined) return;
      real.session(held.worker).settle(batchId);
      model.claims.delete(batchId);
      model.purged += held.rows.length;
      checkTotals(model, real);
    },
  };
}

/** A worker dies; its successor takes one batch over: the oldest that is its own or nobody's. */
function restartWorker(worker: number): Command {
  return {
    check: () => true,
    toString: () => `restartWorker(${worker})`,
    async run(model, real) {
      real.session(worker).close();
      real.sessions[worker] = real.openSession(worker);
      const batch = real.session(worker).recover();
      const own = [...model.claims].filter(([, held]) => held.worker === worker);
      const [oldest] = [...own, ...model.orphans].toSorted(
        ([, a], [, b]) => (a.rows[0]?.id ?? 0) - (b.rows[0]?.id ?? 0),
      );
      expect(batch?.batchId).toBe(oldest?.[0]);
      if (batch === undefined || oldest === undefined) return;
      const [batchId, held] = oldest;
      expect(rowsOf(batch)).toEqual(held.rows);
      expect(batch.earlierAttempts).toBe(held.attempts);
      model.orphans.delete(batchId);
      model.claims.set(batchId, { worker, rows: held.rows, attempts: held.attempts + 1 });
      checkTotals(model, real);
    },
  };
}

const reopen: Command = {
  check: () => true,
  toString: () => "reopen",
  async run(model, real) {
    const { bufferId } = real.buffer;
    await real.close();
    await real.open();
    expect(real.buffer.bufferId).toBe(bufferId);
    for (const [batchId, held] of model.claims) model.orphans.set(batchId, held);
    model.claims.clear();
    expect(real.session(0).openBatchIds().toSorted()).toEqual([...model.orphans.keys()].toSorted());
    checkTotals(model, real);
  },
};

const worker = fc.nat({ max: WORKERS - 1 });
const commands = fc.commands(
  [
    fc.array(fc.string({ unit: "grapheme-ascii", maxLength: 20 }), { maxLength: 12 }).map(append),
    fc.tuple(worker, fc.integer({ min: 1, max: 10 })).map(([by, rows]) => claim(by, rows)),
    fc.nat().map(settle),
    worker.map(restartWorker),
    fc.constant(reopen),
  ],
  { maxCommands: 40, size: "max" },
);

test("any order of append, claim, settle, recover and reopen does what a list in memory would", async () => {
  const folder = temporaryFolder();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(commands, async (sequence) => {
      const real = new Real(join(folder, `${runs++}.db`));
      await real.open();
      try {
        const model: Model = {
          nextId: 1,
          pending: [],
          claims: new Map(),
          orphans: new Map(),
          purged: 0,
        };
        await fc.asyncModelRun(() => ({ model, real }), sequence);
      } finally {
        await real.close();
      }
    }),
    { numRuns: 6, endOnFailure: false },
  );
});
