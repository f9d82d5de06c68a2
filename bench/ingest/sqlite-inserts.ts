/**
 * SQLite alone: the same rows in groups of a given size into a buffer's file with a buffer's pragmas
 * and checkpointing thread, but no network, no waiting clients and no bookkeeping.
 *
 * @module
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { createBuffer } from "@millrace/core/buffer";
import { createPayloadStamper } from "@millrace/load";
import Sqlite from "better-sqlite3";
import { answerCalls } from "../process/answer-calls.ts";
import { startUsage, type Usage } from "../process/process-usage.ts";
import { warningsOnly } from "../process/warnings-only.ts";

export interface SqliteInsertsInput {
  path: string;
  durability: "process" | "power";
  groupRows: number;
  warmUpSeconds: number;
  seconds: number;
}

export interface SqliteInsertsResult {
  rows: number;
  seconds: number;
  usage: Usage;
}

const calls = {
  async insert(input: SqliteInsertsInput): Promise<SqliteInsertsResult> {
    const { path, durability } = input;
    await createBufferFile(path);
    const database = new Sqlite(path);
    database.pragma("busy_timeout = 5000");
    database.pragma(`synchronous = ${durability === "power" ? "FULL" : "NORMAL"}`);
    database.pragma("cache_size = -8000");
    database.pragma("mmap_size = 0");
    database.pragma("temp_store = MEMORY");
    database.pragma("wal_autocheckpoint = 0");
    database.pragma(`journal_size_limit = ${16 * 1024 * 1024}`);
    const maintenance = new Worker(
      new URL(import.meta.resolve("@millrace/core/buffer/maintenance")),
      { workerData: { path, durability } },
    );
    await once(maintenance, "online");

    const insertFor = createInserter(database, input.groupRows);
    insertFor(input.warmUpSeconds);
    const endUsage = startUsage();
    const inserted = insertFor(input.seconds);
    const usage = endUsage();

    maintenance.postMessage("stop");
    await once(maintenance, "exit");
    database.close();
    return { ...inserted, usage };
  },
};

export type SqliteInsertsCalls = typeof calls;

answerCalls(calls);

/** Tables, page size and journal mode as the buffer makes them. */
async function createBufferFile(path: string): Promise<void> {
  const buffer = createBuffer({ path, logger: warningsOnly });
  await buffer.start();
  await buffer.close();
}

/** @returns a function that inserts for so many seconds. */
function createInserter(
  database: Sqlite.Database,
  groupRows: number,
): (seconds: number) => { rows: number; seconds: number } {
  const payloads = createPayloadStamper({ run: "sqlite" });
  const payload = Buffer.alloc(payloads.maxBytes);
  const insert = database.prepare("INSERT INTO payloads VALUES (?, ?, 1, 0, ?)");
  let id = 0;
  return (seconds) => {
    const firstId = id;
    const startedAt = performance.now();
    const endsAt = startedAt + seconds * 1_000;
    while (performance.now() < endsAt) {
      database.exec("BEGIN IMMEDIATE");
      for (let row = 0; row < groupRows; row++) {
        insert.run(++id, Date.now(), payload.subarray(0, payloads.write(payload, 0)));
      }
      database.exec("COMMIT");
    }
    return { rows: id - firstId, seconds: (performance.now() - startedAt) / 1_000 };
  };
}
