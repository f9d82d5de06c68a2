/**
 * Plain COPY of rows that are text already: reads a file, sends it, commits; nothing else.
 *
 * @module
 */
import { closeSync, openSync, readSync } from "node:fs";
import { finished } from "node:stream/promises";
import { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { answerCalls } from "../process/answer-calls.ts";
import { startUsage } from "../process/process-usage.ts";
import type { CopyTransaction } from "./drain-rows.ts";
import type { Landing } from "./pool-drain.ts";

export interface PlainCopyInput {
  databaseUrl: string;
  postmasterPid: number;
  connections: number;
  /** The COPY data of all transactions, one after the other. */
  copyPath: string;
  transactions: CopyTransaction[];
  /** Whether each transaction has an entry in the ledger, as a batch of the drain has. */
  hasLedger: boolean;
}

const calls = {
  async land(input: PlainCopyInput): Promise<Landing> {
    const clients = await Promise.all(
      Array.from({ length: input.connections }, async () => {
        const client = new Client({ connectionString: input.databaseUrl });
        await client.connect();
        return client;
      }),
    );
    const file = openSync(input.copyPath, "r");
    const waiting = input.transactions.values();

    const endUsage = startUsage(input.postmasterPid);
    const startedAt = performance.now();
    // All of them take from one iterator: each transaction goes to whoever is free.
    await Promise.all(clients.map((client) => copyAll(client, file, waiting, input.hasLedger)));
    const seconds = (performance.now() - startedAt) / 1_000;
    const usage = endUsage();

    closeSync(file);
    await Promise.all(clients.map((client) => client.end()));
    return { seconds, usage };
  },
};

export type PlainCopyCalls = typeof calls;

answerCalls(calls);

async function copyAll(
  client: Client,
  file: number,
  transactions: Iterable<CopyTransaction>,
  hasLedger: boolean,
): Promise<void> {
  for (const pieces of transactions) {
    await client.query("BEGIN");
    if (hasLedger) {
      await client.query(
        `INSERT INTO millrace_ledger(batch_id, buffer_id, first_payload_id, last_payload_id, payloads)
         VALUES (gen_random_uuid(), gen_random_uuid(), 1, 1, 1)`,
      );
    }
    for (const { sql, offset, bytes } of pieces) {
      const data = Buffer.allocUnsafe(bytes);
      readSync(file, data, 0, bytes, offset);
      const stream = client.query(copyFrom(sql));
      stream.end(data);
      await finished(stream);
    }
    await client.query("COMMIT");
  }
}
