import { randomInt } from "node:crypto";
import type { Worker } from "node:worker_threads";
import { gzipSync } from "node:zlib";
import { createRandom } from "@millrace/load";
import { waitFor } from "@millrace/core/testing";
import Sqlite from "better-sqlite3";
import { describe, expect, it, onTestFinished } from "vitest";
import type { WorkerMessage } from "../src/messages.ts";
import { auditedTotals } from "./fixtures/audited-totals.ts";
import { countRequests, deadLetters, emptyDatabase } from "./fixtures/empty-database.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { numbers, request } from "./fixtures/telemetry.ts";

const MIB = 1024 * 1024;
const KILLS = 30;

/** The drain threads that this process has now, each from its first message, or first `type` of message, on. */
function drainThreads(type?: WorkerMessage["type"]): Set<Worker> {
  const threads = new Set<Worker>();
  const add = (worker: Worker) => {
    if (!worker.threadName?.startsWith("millrace-drain-")) return;
    // Not before its code is loaded: ended while better-sqlite3 loads, a thread takes the process along.
    const hear = (message: WorkerMessage) => {
      if (type !== undefined && message.type !== type) return;
      worker.off("message", hear);
      threads.add(worker);
    };
    worker.on("message", hear);
    worker.once("exit", () => threads.delete(worker));
  };
  process.on("worker", add);
  onTestFinished(() => void process.off("worker", add));
  return threads;
}

describe("a worker thread that dies", () => {
  const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? randomInt(2 ** 31));

  it(`${KILLS} times at random moments loses and doubles nothing (seed ${seed})`, async () => {
    const database = await emptyDatabase();
    const random = createRandom(seed);
    // One that dies before it has landed anything is replaced after longer and longer pauses.
    const threads = drainThreads("landed");
    const { append, drained, pool, buffer } = await runPool(
      { url: database.url },
      { workers: 2, batchRows: 40 },
    );
    let sent = 0;
    while (pool.status().workerDeaths < KILLS) {
      if (buffer.status().rows < 400) {
        await append(...numbers(40, sent).map((index) => [request(index)]));
        sent += 40;
      }
      await new Promise((resolve) => setTimeout(resolve, random() * 30));
      const [victim] = threads;
      if (victim === undefined) continue;
      threads.delete(victim);
      await victim.terminate();
    }
    await drained();
    expect(await countRequests(database)).toEqual({ rows: sent, distinct: sent, counted: sent });
    expect(await auditedTotals(pool)).toEqual({ isComplete: true, payloads: sent, records: sent });
    expect(pool.state).toBe("running");
  });

  it("whenever one payload is in hand convicts that payload; its neighbours land once", async () => {
    const database = await emptyDatabase();
    const threads = drainThreads();
    const { append, drained, pool, path, logger } = await runPool({
      url: database.url,
      isIdle: true,
    });
    await append(
      ...numbers(10).map((index) => [request(index, index === 6 ? { url: "slow" } : {})]),
    );
    await pool.start();
    await drained();
    await database.query("TRUNCATE nightwatch_requests, nightwatch_user_counters");
    await database.query(
      `CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.url = 'slow' THEN PERFORM pg_sleep(30); END IF; RETURN NEW; END $$`,
    );
    await database.query(
      "CREATE TRIGGER dawdle BEFORE INSERT ON nightwatch_requests FOR EACH ROW EXECUTE FUNCTION dawdle()",
    );
    await append(
      ...numbers(10).map((index) => [request(index, index === 6 ? { url: "slow" } : {})]),
    );
    const file = new Sqlite(path, { readonly: true });
    for (const death of numbers(3, 1)) {
      await waitFor(async () => {
        const [row] = await database.query<{ slow: number }>(
          `SELECT count(*)::int AS slow FROM pg_stat_activity
           WHERE wait_event = 'PgSleep' AND datname = current_database()`,
        );
        const suspect = file.prepare("SELECT suspect FROM claims").pluck().get();
        // Two deaths of a batch may be chance; from then on it is written down what is in hand.
        return row?.slow === 1 && suspect === (death < 3 ? null : 17);
      });
      const [thread] = threads;
      await thread?.terminate();
      await waitFor(() => pool.status().workerDeaths === death);
      await database.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()",
      );
    }
    file.close();
    await drained();
    expect(await countRequests(database)).toEqual({ rows: 9, distinct: 9, counted: 9 });
    const letters = await deadLetters(database);
    expect(letters.map(({ code, payload_id }) => [code, payload_id])).toEqual([
      ["kills_worker", "17"],
    ]);
    expect(letters[0]?.content.toString()).toBe(JSON.stringify([request(6, { url: "slow" })]));
    expect(pool.status().workerDeaths).toBe(3);
    expect(logger.lines.filter(({ level }) => level === "error")).toHaveLength(3);
  });
});

describe("payloads that would overflow a worker's heap", () => {
  it("are dead letters, and neither the thread nor the process dies", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool(
      { url: database.url },
      { workerHeapMib: 64, batchWaitMs: 200 },
    );
    const objects = `[${"{},".repeat(MIB)}{}]`;
    const deep = `${"[".repeat(MIB)}${"]".repeat(MIB)}`;
    const heavy = [
      gzipSync(`[${objects},${deep}]`),
      Buffer.from(`[{"t":"new","x":${objects}}]`),
      gzipSync(" ".repeat(5 * MIB)),
    ];
    await append([request(1)], ...heavy, [request(2)]);
    await drained();
    expect(await countRequests(database)).toMatchObject({ rows: 2 });
    const letters = await deadLetters(database);
    expect(
      letters.map(({ payload_id, record_index, code }) => [payload_id, record_index, code]),
    ).toEqual([
      ["2", null, "too_large"],
      ["3", 0, "record_invalid"],
      ["4", null, "too_large"],
    ]);
    expect(pool.status().workerDeaths).toBe(0);
  });

  it("land when their records are many and small", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool(
      { url: database.url, destination: { batchTimeoutMs: 60_000 } },
      { workerHeapMib: 64 },
    );
    const count = 30_000;
    await append(
      gzipSync(
        `[${Array.from({ length: count }, (_, index) => `{"t":"n","i":${index}}`).join(",")}]`,
      ),
    );
    await drained();
    expect(
      await database.query(
        "SELECT count(DISTINCT record->>'i')::int AS records FROM millrace_events",
      ),
    ).toEqual([{ records: count }]);
    expect(pool.status().workerDeaths).toBe(0);
  });
});
