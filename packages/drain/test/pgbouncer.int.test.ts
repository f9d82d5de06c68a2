import { waitFor } from "@millrace/core/testing";
import {
  type PgBouncerService,
  type PostgresService,
  startPgBouncer,
  startPostgres,
} from "@millrace/services";
import { Client } from "pg";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { countRequests, deadLetters } from "./fixtures/empty-database.ts";
import { queryOnce } from "../../../test/setup/query-once.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { numbers, request } from "./fixtures/telemetry.ts";

let server: PostgresService;
let pooler: PgBouncerService;

beforeAll(async () => {
  server = await startPostgres();
  pooler = await startPgBouncer({ upstream: server, poolMode: "transaction", poolSize: 2 });
});

afterAll(async () => {
  await pooler.remove();
  await server.remove();
});

/** A database, past the pooler for the test and through it for the pool. */
async function createDatabase() {
  const direct = await server.createDatabase();
  const query = <Row = Record<string, unknown>>(sql: string) => queryOnce<Row>(direct, sql);
  return { query, url: pooler.url(new URL(direct).pathname.slice(1)) };
}

it("eight workers share a pool of two connections in transaction mode", async () => {
  const { url, query } = await createDatabase();
  const { append, drained } = await runPool({ url }, { workers: 8, batchRows: 25 });
  await append(...numbers(1_000).map((index) => [request(index)]));
  await drained();
  expect(await countRequests({ query })).toEqual({ rows: 1_000, distinct: 1_000, counted: 1_000 });
});

it("a COPY that fails in mid-stream leaves no server connection stuck", async () => {
  const { url, query } = await createDatabase();
  const { append, drained } = await runPool({ url }, { workers: 4, batchRows: 100 });
  await append([request(0)]);
  await drained();
  await query("ALTER TABLE nightwatch_requests ADD CHECK (duration_us < 5000)");
  // The first line of a COPY of megabytes is refused while the rest is still on its way.
  const wide = { url: `https://shop.example/${"x".repeat(20_000)}` };
  await append(
    ...numbers(400, 1).map((index) => [
      request(index, { ...wide, duration: index % 100 === 1 ? 6_000 : 1 }),
    ]),
  );
  await drained();
  expect((await countRequests({ query }))?.rows).toBe(397);
  const letters = await deadLetters({ query });
  expect(letters.map(({ code }) => code)).toEqual(Array(4).fill("sqlstate_23514"));
  // As many batches as the pool has connections, all at once, would hang if one were stuck.
  await append(...numbers(200, 1_000).map((index) => [request(index, { duration: 1 })]));
  await drained();
  expect((await countRequests({ query }))?.rows).toBe(597);
});

/** What the drain sets, as both of the pool's connections have it for whoever is next. */
async function pooledSettings(url: string): Promise<string[]> {
  const clients = [new Client({ connectionString: url }), new Client({ connectionString: url })];
  onTestFinished(async () => void (await Promise.all(clients.map((client) => client.end()))));
  const settings: string[] = [];
  for (const client of clients) {
    await client.connect();
    // A transaction each keeps them on connections of their own.
    await client.query("BEGIN");
    const { rows } = await client.query<{ settings: string }>(
      `SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) AS settings FROM pg_settings
       WHERE name IN ('synchronous_commit', 'lock_timeout', 'statement_timeout',
         'idle_in_transaction_session_timeout', 'tcp_keepalives_idle', 'TimeZone', 'search_path')`,
    );
    settings.push(rows[0]?.settings ?? "");
  }
  for (const client of clients) await client.query("ROLLBACK");
  return settings;
}

it("a pooled connection is handed on as it was: synchronous_commit=off and timeouts stay with the batch", async () => {
  const { url, query } = await createDatabase();
  const before = await pooledSettings(url);
  expect(before[0]).toContain("synchronous_commit=on");
  const { append, drained } = await runPool(
    { url, destination: { synchronousCommit: "off" } },
    { workers: 4, batchRows: 20 },
  );
  // Batches that fail end otherwise than those that land.
  await query("ALTER TABLE nightwatch_requests ADD CHECK (url <> 'bad')");
  await append(
    ...numbers(400).map((index) => [request(index, index % 90 === 0 ? { url: "bad" } : {})]),
  );
  await drained();
  expect((await countRequests({ query }))?.rows).toBe(395);
  expect(await pooledSettings(url)).toEqual(before);
});

it("restarts of the pooler under load lose and double nothing", async () => {
  const { url, query } = await createDatabase();
  const { append, drained, pool } = await runPool({ url }, { workers: 4, batchRows: 20 });
  let sent = 0;
  for (let restart = 0; restart < 5; restart++) {
    const { batches } = pool.status();
    await append(...numbers(200, sent).map((index) => [request(index)]));
    sent += 200;
    await waitFor(() => pool.status().batches > batches);
    await pooler.kill();
    await append(...numbers(50, sent).map((index) => [request(index)]));
    sent += 50;
    await pooler.start();
  }
  await drained();
  expect(await countRequests({ query })).toEqual({ rows: sent, distinct: sent, counted: sent });
});
