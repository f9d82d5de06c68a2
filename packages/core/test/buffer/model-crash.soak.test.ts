import { copyFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { openBufferFile } from "../../src/buffer/buffer-file.ts";
import { bufferOptionsSchema } from "../../src/buffer/buffer-options.ts";
import { readFileStatus } from "../../src/buffer/file-status.ts";
import { type ClaimedBatch, ClaimSession } from "../../src/buffer/claims.ts";
import { GroupCommit } from "../../src/buffer/group-commit.ts";
import { countCrash, registerOwner } from "../../src/buffer/owners.ts";
import { copyImage } from "./fixtures/buffer-image.ts";
import { memoryFolder } from "./fixtures/memory-folder.ts";

const WORKERS = 2;
const SEQUENCES = 300;
const BLOCK_BYTES = 4096;
/** With dropping, so few that it comes to it. */
const MAX_ROWS = 12;

interface Held {
  worker: number | undefined;
  ids: number[];
  attempts: number;
  crashes: number;
}

/** What the buffer and the destination should hold. */
interface Model {
  texts: Map<number, string>;
  pending: number[];
  claims: Map<string, Held>;
  dropped: number;
  settled: number;
}

/** A buffer file with its sessions, and a destination that takes each batch id once. */
class Real {
  readonly #folder: string;
  readonly #durability: "process" | "power";
  readonly #isDropping: boolean;
  #copies = 0;
  path: string;
  file!: ReturnType<typeof openBufferFile>;
  group!: GroupCommit;
  owner = "";
  sessions: ClaimSession[] = [];
  readonly inHand = new Map<string, ClaimedBatch>();
  readonly ledger = new Map<string, Array<[number, string]>>();

  constructor(folder: string, durability: "process" | "power", isDropping: boolean) {
    this.#folder = folder;
    this.#durability = durability;
    this.#isDropping = isDropping;
    this.path = this.#nextPath();
    this.open();
  }

  open(): void {
    const { path } = this;
    this.file = openBufferFile(path, { durability: this.#durability });
    // This process still runs: its earlier owners would be taken for alive.
    this.file.database.exec("DELETE FROM owners");
    const options = bufferOptionsSchema.parse({
      path,
      groupMaxRows: 4,
      ...(this.#isDropping && { maxRows: MAX_ROWS, whenFull: "drop-oldest" as const }),
    });
    this.group = new GroupCommit(this.file.database, options);
    this.owner = registerOwner(this.file.database);
    this.sessions = Array.from({ length: WORKERS }, (_, worker) => this.#openSession(worker));
  }

  close(): void {
    for (const session of this.sessions) session.close();
    this.file.database.close();
    this.inHand.clear();
  }

  /** Goes on with what a kill at this moment leaves: the page cache outlives the process. */
  kill(): void {
    const next = this.#nextPath();
    copyImage(this.path, next);
    this.close();
    this.path = next;
    this.open();
  }

  /**
   * Goes on with what a power loss leaves while `write` is under way: what was written since the
   * last fsync is there up to some block.
   */
  async losePower(texts: readonly string[], share: number): Promise<string[]> {
    const next = this.#nextPath();
    copyFileSync(this.path, next);
    const synced = walBytes(this.path);
    const stored = await this.append(texts);
    const written = walBytes(this.path);
    copyFileSync(`${this.path}-wal`, `${next}-wal`);
    const kept = synced + Math.floor(((written - synced) * share) / BLOCK_BYTES) * BLOCK_BYTES;
    truncateSync(`${next}-wal`, Math.max(synced, kept));
    this.close();
    this.path = next;
    this.open();
    return stored;
  }

  restartWorker(worker: number): void {
    this.session(worker).close();
    this.sessions[worker] = this.#openSession(worker);
  }

  session(worker: number): ClaimSession {
    const session = this.sessions[worker];
    if (session === undefined) throw new Error(`no worker ${worker}`);
    return session;
  }

  /** @returns those that were acknowledged. */
  async append(texts: readonly string[]): Promise<string[]> {
    const appends = texts.map((text) => this.group.append(Buffer.from(text), "token"));
    const settled = Promise.allSettled(appends);
    await this.group.settle();
    const results = await settled;
    return texts.filter((_, index) => results[index]?.status === "fulfilled");
  }

  /** What PostgreSQL does with a batch: a batch id that it knows changes nothing. */
  land({ batchId, payloads }: ClaimedBatch): void {
    if (this.ledger.has(batchId)) return;
    this.ledger.set(
      batchId,
      payloads.map(({ id, payload }) => [id, payload.toString()]),
    );
  }

  #nextPath(): string {
    return join(this.#folder, `${this.#copies++}.db`);
  }

  #openSession(worker: number): ClaimSession {
    const { path, owner } = this;
    return new ClaimSession({ path, owner, worker, durability: this.#durability });
  }
}

function walBytes(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}

type Command = fc.AsyncCommand<Model, Real>;

function checkTotals(model: Model, real: Real): void {
  const held = [...model.claims.values()].flatMap(({ ids }) => ids);
  expect(readFileStatus(real.file.database)).toMatchObject({
    rows: model.pending.length + held.length,
    pendingRows: model.pending.length,
    claimedRows: held.length,
    landedRows: 0,
    purgedRows: model.settled,
    droppedRows: model.dropped,
    lostRows: 0,
    appendedRows: model.texts.size,
  });
}

/** Takes note of what is in the file now, given that `texts` were appended last. */
function noteAppended(model: Model, real: Real, texts: readonly string[]): number {
  const { appendedRows, droppedRows } = readFileStatus(real.file.database);
  const added = appendedRows - model.texts.size;
  for (const text of texts.slice(0, added)) {
    const id = model.texts.size + 1;
    model.texts.set(id, text);
    model.pending.push(id);
  }
  model.pending.splice(0, droppedRows - model.dropped);
  model.dropped = droppedRows;
  return added;
}

function loseProcess(model: Model): void {
  for (const held of model.claims.values()) held.worker = undefined;
}

function append(texts: string[]): Command {
  return {
    check: () => true,
    toString: () => `append(${texts.length})`,
    async run(model, real) {
      const acknowledged = await real.append(texts);
      expect(noteAppended(model, real, acknowledged)).toBe(acknowledged.length);
      checkTotals(model, real);
    },
  };
}

function claim(worker: number, maxRows: number): Command {
  return {
    check: (model) => model.pending.length > 0,
    toString: () => `claim(${worker}, ${maxRows})`,
    async run(model, real) {
      const batch = real.session(worker).claim({ maxRows, maxBytes: 1e6 });
      const ids = model.pending.splice(0, maxRows);
      expect(batch?.payloads.map(({ id }) => id)).toEqual(ids);
      if (batch === undefined) return;
      model.claims.set(batch.batchId, { worker, ids, attempts: 1, crashes: 0 });
      real.inHand.set(batch.batchId, batch);
      checkTotals(model, real);
    },
  };
}

/** @param isToldOf false when the worker never learns that it landed. */
function land(choice: number, isToldOf: boolean): Command {
  return {
    check: () => true,
    toString: () => `land(${choice}, ${isToldOf ? "settle" : "acknowledgement lost"})`,
    async run(model, real) {
      const [batchId, batch] = [...real.inHand][choice % Math.max(1, real.inHand.size)] ?? [];
      if (batchId === undefined || batch === undefined) return;
      const held = model.claims.get(batchId);
      real.land(batch);
      if (!isToldOf || held === undefined) return;
      real.session(held.worker ?? 0).settle(batchId);
      real.inHand.delete(batchId);
      model.claims.delete(batchId);
      model.settled += held.ids.length;
      checkTotals(model, real);
    },
  };
}

/** A worker dies; its successor takes one batch over: the oldest that is its own or nobody's. */
function workerDeath(worker: number): Command {
  return {
    check: () => true,
    toString: () => `workerDeath(${worker})`,
    async run(model, real) {
      countCrash(real.file.database, real.owner, worker);
      real.restartWorker(worker);
      for (const [batchId, held] of model.claims) {
        if (held.worker !== worker) continue;
        held.crashes++;
        real.inHand.delete(batchId);
      }
      const batch = real.session(worker).recover();
      const [oldest] = [...model.claims]
        .filter(([, held]) => held.worker === worker || held.worker === undefined)
        .toSorted(([, a], [, b]) => (a.ids[0] ?? 0) - (b.ids[0] ?? 0));
      expect(batch?.batchId).toBe(oldest?.[0]);
      if (batch === undefined || oldest === undefined) return;
      const [batchId, held] = oldest;
      expect(batch.payloads.map(({ id }) => id)).toEqual(held.ids);
      expect(batch).toMatchObject({ earlierAttempts: held.attempts, crashes: held.crashes });
      held.attempts++;
      held.worker = worker;
      real.inHand.set(batchId, batch);
      checkTotals(model, real);
    },
  };
}

const kill: Command = {
  check: () => true,
  toString: () => "kill",
  async run(model, real) {
    real.kill();
    loseProcess(model);
    checkTotals(model, real);
  },
};

const reopen: Command = {
  check: () => true,
  toString: () => "reopen",
  async run(model, real) {
    real.close();
    real.open();
    loseProcess(model);
    checkTotals(model, real);
  },
};

/** What is being appended may be there or not, in order; what was acknowledged before is. */
function powerLoss(texts: string[], share: number): Command {
  return {
    check: () => true,
    toString: () => `powerLoss(${texts.length}, ${share.toFixed(2)})`,
    async run(model, real) {
      const stored = await real.losePower(texts, share);
      loseProcess(model);
      expect(noteAppended(model, real, stored)).toBeGreaterThanOrEqual(0);
      checkTotals(model, real);
    },
  };
}

const worker = fc.nat({ max: WORKERS - 1 });
const texts = fc.array(fc.string({ unit: "grapheme-ascii", maxLength: 20 }), { maxLength: 10 });
const commands = fc.commands(
  [
    texts.map(append),
    texts.map(append),
    fc.tuple(worker, fc.integer({ min: 1, max: 10 })).map(([by, rows]) => claim(by, rows)),
    fc.nat().map((choice) => land(choice, true)),
    fc.nat().map((choice) => land(choice, false)),
    worker.map(workerDeath),
    fc.constant(kill),
    fc.constant(reopen),
    fc
      .tuple(texts, fc.double({ min: 0, max: 1, noNaN: true }))
      .map(([list, share]) => powerLoss(list, share)),
  ],
  { maxCommands: 14, size: "max" },
);

/** Drains what is left. Everything that was ever acknowledged has then landed once, or was dropped. */
function finish(model: Model, real: Real): void {
  for (const index of real.sessions.keys()) real.restartWorker(index);
  for (let by = 0; by < WORKERS; by++) {
    const session = real.session(by);
    for (;;) {
      const batch = session.recover() ?? session.claim({ maxRows: 7, maxBytes: 1e6 });
      if (batch === undefined) break;
      real.land(batch);
      session.settle(batch.batchId);
    }
  }
  const landed = [...real.ledger.values()].flat();
  expect(new Set(landed.map(([id]) => id)).size).toBe(landed.length);
  for (const [id, text] of landed) expect(model.texts.get(id)).toBe(text);
  expect(landed.length + model.dropped).toBe(model.texts.size);
  expect(readFileStatus(real.file.database)).toMatchObject({ rows: 0, bytes: 0, lostRows: 0 });
}

for (const [title, durability, isDropping] of [
  ["kills, power losses, lost acknowledgements and dead workers", "power", false],
  ["the same while the oldest payloads are dropped", "process", true],
] as const) {
  test(`${title}: each payload lands exactly once (${SEQUENCES / 2} sequences)`, async () => {
    const folder = memoryFolder();
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(commands, async (sequence) => {
        const real = new Real(join(folder, `${runs++}-`), durability, isDropping);
        try {
          const model: Model = {
            texts: new Map(),
            pending: [],
            claims: new Map(),
            dropped: 0,
            settled: 0,
          };
          await fc.asyncModelRun(() => ({ model, real }), sequence);
          finish(model, real);
        } finally {
          real.close();
        }
      }),
      { numRuns: SEQUENCES / 2 },
    );
    expect(runs).toBeGreaterThanOrEqual(SEQUENCES / 2);
  });
}
