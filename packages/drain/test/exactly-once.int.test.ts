import { randomInt } from "node:crypto";
import { createRandom } from "@millrace/load";
import { waitFor } from "@millrace/core/testing";
import { ClaimSession } from "@millrace/core/buffer";
import { migrate, postgres } from "@millrace/drain";
import { Client } from "pg";
import { describe, expect, it } from "vitest";
import { countRequests, emptyDatabase } from "./fixtures/empty-database.ts";
import { auditedTotals } from "./fixtures/audited-totals.ts";
import { type Fault, startFaultyProxy } from "./fixtures/faulty-proxy.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { smallSchema } from "./fixtures/small-schema.ts";
import { numbers, request } from "./fixtures/telemetry.ts";

const FAULTS: Fault[] = ["cut-before", "cut-behind", "cut-after-answer"];

const CUTS = 6;

describe("a connection that breaks", () => {
  const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? randomInt(2 ** 31));

  it(`${CUTS} times at random moments of COPY and COMMIT loses and doubles nothing (seed ${seed})`, async () => {
    const database = await emptyDatabase();
    const proxy = await startFaultyProxy(database.url);
    const random = createRandom(seed);
    const happened: string[] = [];
    const { append, drained, pool, logger } = await runPool(
      { url: proxy.url },
      { workers: 2, batchRows: 20 },
    );
    proxy.rule = ({ kind, text }) => {
      if (kind === "query" && text !== "COMMIT") return "pass";
      if (happened.length >= CUTS || random() < 0.75) return "pass";
      // Data has no answer that could be waited for.
      const faults = FAULTS.slice(0, kind === "query" ? 3 : 2);
      const fault = faults[Math.floor(random() * faults.length)] ?? "cut-behind";
      happened.push(`${fault} ${kind}`);
      return fault;
    };
    const count = 1_200;
    for (const start of numbers(count / 100)) {
      await append(...numbers(100, start * 100).map((index) => [request(index)]));
    }
    await drained(25_000);

    expect(happened).toHaveLength(CUTS);
    expect(await countRequests(database)).toEqual({ rows: count, distinct: count, counted: count });
    expect(pool.status()).toMatchObject({ payloads: count, deadLetters: 0, workerDeaths: 0 });
    expect(await auditedTotals(pool)).toEqual({
      isComplete: true,
      payloads: count,
      records: count,
    });
    expect(pool.status().retriesByReason["connection"]).toBeGreaterThan(CUTS / 2);
    // Two lines a time at most: it waits, it goes on.
    expect(logger.lines.length).toBeLessThanOrEqual(2 * CUTS);
  });

  it("behind a COMMIT that was answered is found in the ledger and not landed again", async () => {
    const database = await emptyDatabase();
    const proxy = await startFaultyProxy(database.url);
    let faults = 0;
    let isArmed = false;
    proxy.rule = ({ text }) =>
      isArmed && text === "COMMIT" && faults++ === 0 ? "cut-after-answer" : "pass";
    const { append, drained, pool } = await runPool({ url: proxy.url });
    isArmed = true;
    await append(numbers(50).map((index) => request(index)));
    await drained();
    expect(await countRequests(database)).toEqual({ rows: 50, distinct: 50, counted: 50 });
    expect(pool.status()).toMatchObject({ batches: 1, batchesFoundLanded: 1, payloads: 1 });
  });

  it("in the midst of 20 MB that the server has refused leaves the worker alive", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool({ url: database.url });
    await database.query(
      "ALTER TABLE nightwatch_logs ADD CONSTRAINT first_is_bad CHECK (message <> 'bad')",
    );
    const bulk = { t: "log", timestamp: 1_767_225_600, message: "x".repeat(20 * 1024 * 1024) };
    await append([{ t: "log", timestamp: 1_767_225_600, message: "bad" }, bulk]);
    await drained();
    expect(await database.query("SELECT length(message) AS length FROM nightwatch_logs")).toEqual([
      { length: bulk.message.length },
    ]);
    expect(pool.status()).toMatchObject({ deadLetters: 1, workerDeaths: 0 });
  });
});

describe("a transaction whose client is gone", () => {
  it("is waited for when its batch is tried again", async () => {
    const database = await emptyDatabase();
    const proxy = await startFaultyProxy(database.url);
    let orphans = 0;
    let isArmed = false;
    proxy.rule = ({ text }) =>
      isArmed && text === "COMMIT" && orphans++ === 0 ? "orphan" : "pass";
    const { append, drained, pool } = await runPool({ url: proxy.url });
    isArmed = true;
    await append([request(1), request(2)]);
    // The second try's entry in the ledger waits for the first one's transaction.
    await waitFor(
      async () => {
        const [row] = await database.query<{ blocked: number }>(
          `SELECT count(*)::int AS blocked FROM pg_stat_activity
           WHERE application_name = 'millrace-drain' AND cardinality(pg_blocking_pids(pid)) > 0`,
        );
        return row?.blocked === 1;
      },
      { description: "a try that is blocked by the one before" },
    );
    expect(await countRequests(database)).toMatchObject({ rows: 0 });
    proxy.endOrphans();
    await drained();
    expect(await countRequests(database)).toEqual({ rows: 2, distinct: 2, counted: 2 });
    expect(pool.status().batchesFoundLanded).toBe(0);
  });
});

describe("a network that stalls", () => {
  it.each(["COMMIT", "copy-data"])(
    "at %s is given up after batchTimeoutMs, and all lands",
    async (moment) => {
      const database = await emptyDatabase();
      const proxy = await startFaultyProxy(database.url);
      let stalls = 0;
      let isArmed = false;
      proxy.rule = ({ kind, text }) =>
        isArmed && (text === moment || kind === moment) && stalls++ === 0 ? "stall" : "pass";
      const { append, drained, pool } = await runPool({
        url: proxy.url,
        destination: { batchTimeoutMs: 1_000 },
      });
      isArmed = true;
      await append(numbers(10).map((index) => request(index)));
      await waitFor(() => pool.status().workers[0]?.phase === "waiting");
      expect(pool.status().workers[0]?.reason).toBe("PostgreSQL did not answer for 1000 ms");
      await drained();
      expect(await countRequests(database)).toEqual({ rows: 10, distinct: 10, counted: 10 });
    },
  );
});

describe("a batch whose process died", () => {
  /** A batch that a process claimed and then died of, before or after it had landed. */
  async function leaveBehind(
    url: string,
    afterClaim: (batchId: string, bufferId: string) => Promise<void>,
  ) {
    const idle = await runPool({ url, isIdle: true });
    await idle.append([request(1)], [request(2)]);
    const session = new ClaimSession({
      path: idle.path,
      owner: "00000000-0000-4000-8000-000000000000",
      worker: 0,
      durability: "process",
    });
    const batch = session.claim({ maxRows: 10, maxBytes: 1_000_000 });
    session.close();
    expect(batch?.payloads).toHaveLength(2);
    expect(idle.synced()).toEqual({ 100: 2 });
    await migrate({ destination: postgres({ connectionString: url }), schema: smallSchema() });
    await afterClaim(batch?.batchId ?? "", idle.buffer.bufferId);
    return idle;
  }

  it("lands when it had not, under the id that it had", async () => {
    const database = await emptyDatabase();
    let claimedId = "";
    const { pool, drained } = await leaveBehind(database.url, async (batchId) => {
      claimedId = batchId;
    });
    await pool.start();
    await drained();
    expect(await countRequests(database)).toMatchObject({ rows: 2, distinct: 2 });
    const ledger = await database.query("SELECT batch_id, payloads FROM millrace_ledger");
    expect(ledger).toEqual([{ batch_id: claimedId, payloads: 2 }]);
  });

  it("leaves the buffer without landing again when the ledger has it", async () => {
    const database = await emptyDatabase();
    const { pool, drained } = await leaveBehind(database.url, async (batchId, bufferId) => {
      await database.query("INSERT INTO millrace_ledger VALUES ($1, $2, 1, 2, 2)", [
        batchId,
        bufferId,
      ]);
    });
    await pool.start();
    await drained();
    expect(await countRequests(database)).toMatchObject({ rows: 0 });
    expect(pool.status()).toMatchObject({
      batches: 1,
      batchesFoundLanded: 1,
      payloads: 2,
      records: 0,
    });
  });
});

describe("a session that an administrator ends", () => {
  it("over and over while rows land loses and doubles nothing", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool(
      { url: database.url },
      { workers: 2, batchRows: 50 },
    );
    const admin = new Client({ connectionString: database.url });
    await admin.connect();
    let ended = 0;
    for (const round of numbers(4)) {
      await append(...numbers(200, round * 200).map((index) => [request(index)]));
      ended += await waitFor(async () => {
        const { rows } = await admin.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE application_name = 'millrace-drain' AND datname = current_database()`,
        );
        return rows.length;
      });
    }
    await admin.end();
    await drained();
    expect(ended).toBeGreaterThanOrEqual(4);
    expect(await countRequests(database)).toEqual({ rows: 800, distinct: 800, counted: 800 });
    expect(pool.status().workerDeaths).toBe(0);
  });
});
