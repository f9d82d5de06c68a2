import { waitFor } from "@millrace/core/testing";
import { migrate, postgres } from "@millrace/drain";
import { nightwatch } from "@millrace/drain/nightwatch";
import { Client } from "pg";
import { describe, expect, it } from "vitest";
import { countRequests, deadLetters, emptyDatabase } from "./fixtures/empty-database.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { smallSchema } from "./fixtures/small-schema.ts";
import { numbers, request } from "./fixtures/telemetry.ts";

describe("tables", () => {
  it.each([
    "DROP TABLE nightwatch_requests, nightwatch_user_counters",
    "ALTER TABLE nightwatch_requests DROP COLUMN duration_us",
    "DROP TABLE millrace_ledger, millrace_migrations, millrace_dead_letters",
  ])("are made again after %s, and all lands", async (statement) => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool({ url: database.url });
    await database.query(statement);
    await append(...numbers(10).map((index) => [request(index), 17]));
    await drained();
    expect(await countRequests(database)).toEqual({ rows: 10, distinct: 10, counted: 10 });
    expect(await deadLetters(database)).toHaveLength(10);
    expect(pool.status().retriesByReason).toEqual({ schema: 1 });
  });

  it("that the role may not write to are waited for, with the reason, and without touching them", async () => {
    const database = await emptyDatabase();
    const role = `writer_${process.pid}`;
    const destination = postgres({ connectionString: database.url });
    await migrate({ destination, schema: smallSchema() });
    await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'writer'`);
    try {
      await database.query(
        `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`,
      );
      await database.query(`REVOKE INSERT ON nightwatch_requests FROM ${role}`);
      const url = new URL(database.url);
      url.username = role;
      url.password = "writer";
      const { append, drained, pool, logger } = await runPool({ url: url.href });
      await append([request(1)]);
      await waitFor(() => (pool.status().retriesByReason["schema"] ?? 0) >= 2);
      expect(pool.status().workers[0]).toMatchObject({
        phase: "waiting",
        reason: "permission denied for table nightwatch_requests",
      });
      await database.query(`GRANT INSERT ON nightwatch_requests TO ${role}`);
      await drained();
      expect(await countRequests(database)).toMatchObject({ rows: 1 });
      expect(await deadLetters(database)).toEqual([]);
      const news = logger.lines.filter(({ message }) => message.startsWith("batches"));
      expect(news.map(({ message }) => message)).toEqual([
        "batches do not land: buffering",
        "batches land again",
      ]);
    } finally {
      await waitFor(async () => {
        await database.query(`DROP OWNED BY ${role}`);
        await database.query(`DROP ROLE ${role}`);
        return true;
      });
    }
  });

  it("of a database that is read-only for a while fill when it is not", async () => {
    const database = await emptyDatabase();
    const name = new URL(database.url).pathname.slice(1);
    await migrate({
      destination: postgres({ connectionString: database.url }),
      schema: smallSchema(),
    });
    await database.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    const { append, drained, pool } = await runPool({ url: database.url });
    await append([request(1)]);
    await waitFor(() => pool.status().workers[0]?.phase === "waiting");
    expect(pool.status().workers[0]?.reason).toContain("read-only transaction");
    const admin = new Client({ connectionString: database.url });
    await admin.connect();
    await admin.query("SET default_transaction_read_only = off");
    await admin.query(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
    await admin.end();
    await drained();
    expect(await countRequests(database)).toMatchObject({ rows: 1 });
  });

  it("land although the role's own limits are strict", async () => {
    const database = await emptyDatabase();
    const name = new URL(database.url).pathname.slice(1);
    await migrate({
      destination: postgres({ connectionString: database.url }),
      schema: smallSchema(),
    });
    await database.query(
      `ALTER DATABASE ${name} SET default_transaction_isolation = 'serializable'`,
    );
    await database.query(`ALTER DATABASE ${name} SET statement_timeout = '500ms'`);
    await database.query(
      `CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(0.8); RETURN NULL; END $$`,
    );
    await database.query(
      "CREATE TRIGGER dawdle AFTER INSERT ON nightwatch_requests FOR EACH STATEMENT EXECUTE FUNCTION dawdle()",
    );
    const { append, drained, pool } = await runPool({ url: database.url });
    await append([request(1)]);
    await drained();
    expect(pool.status()).toMatchObject({ records: 1, retriesByReason: {} });
  });
});

describe("migrate", () => {
  it("from 8 connections at once makes everything once", async () => {
    const { url, query } = await emptyDatabase();
    const options = { destination: postgres({ connectionString: url }), schema: nightwatch() };
    const outcomes = await Promise.all(numbers(8).map(() => migrate(options)));
    expect(outcomes.filter(Boolean)).toHaveLength(1);
    const tables = await query<{ name: string }>(
      "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
    );
    const expected = [
      ...nightwatch().tables.map(({ name }) => name),
      ...nightwatch().upserts.map(({ name }) => name),
      "millrace_dead_letters",
      "millrace_events",
      "millrace_ledger",
      "millrace_migrations",
    ];
    expect(tables.map(({ name }) => name)).toEqual(expect.arrayContaining(expected));
    expect(await migrate(options)).toBe(false);
  });

  it("adds what a declaration has gained, and keeps the rows", async () => {
    const { url, query } = await emptyDatabase();
    const destination = postgres({ connectionString: url });
    await migrate({ destination, schema: nightwatch() });
    await query(
      "INSERT INTO nightwatch_logs (occurred_at, received_at, token) VALUES (now(), now(), 'a')",
    );
    const logs = nightwatch().tables.find(({ name }) => name === "nightwatch_logs");
    if (logs === undefined) throw new Error("nightwatch_logs is not declared");
    const grown = {
      ...logs,
      columns: {
        ...logs.columns,
        tenant: { type: "text" as const, field: "tenant", required: true },
      },
    };
    expect(await migrate({ destination, schema: { tables: [grown], upserts: [] } })).toBe(true);
    expect(await query("SELECT token, tenant FROM nightwatch_logs")).toEqual([
      { token: "a", tenant: null },
    ]);
  });

  it("says that PostgreSQL cannot be reached, without the password", async () => {
    const destination = postgres({
      connectionString: "postgres://app:hunter2@127.0.0.1:1/telemetry",
    });
    const failure = migrate({ destination, schema: nightwatch() });
    await expect(failure).rejects.toMatchObject({
      code: "DRAIN_DATABASE_UNREACHABLE",
      retryable: true,
    });
    await expect(failure).rejects.not.toThrow("hunter2");
  });
});
