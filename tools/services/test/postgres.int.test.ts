import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/setup/database.ts";
import { startPostgres, type PostgresService } from "@millrace/services";
import { query } from "./fixtures/query.ts";

describe("startPostgres", () => {
  let postgres: PostgresService;

  beforeAll(async () => {
    postgres = await startPostgres();
  });

  afterAll(async () => {
    await postgres.remove();
  });

  test("a server started by any user, root too, answers a query", async () => {
    const [row] = await query(postgres.url, "SELECT current_setting('server_version') AS version");

    expect(row).toEqual({ version: postgres.version });
  });

  test("a server is durable unless its settings say otherwise", async () => {
    const [row] = await query(
      postgres.url,
      "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit",
    );

    expect(row).toEqual({ fsync: "on", commit: "on" });
  });

  test("two databases do not see each other's tables", async () => {
    const [one, other] = [await postgres.createDatabase(), await postgres.createDatabase("other")];
    await query(one, "CREATE TABLE only_in_one (id int)");

    const [row] = await query(other, "SELECT to_regclass('only_in_one') AS found");

    expect(row).toEqual({ found: null });
  });

  test("a killed server keeps its committed rows, its port and its URL", async () => {
    const url = await postgres.createDatabase();
    await query(url, "CREATE TABLE kept AS SELECT 7 AS id");
    const { pid, port } = postgres;

    await postgres.kill();
    expect(postgres.isRunning).toBe(false);
    await expect(query(url, "SELECT 1")).rejects.toThrow("ECONNREFUSED");
    await postgres.start();

    expect(postgres.pid).not.toBe(pid);
    expect(postgres.port).toBe(port);
    expect(await query(url, "SELECT id FROM kept")).toEqual([{ id: 7 }]);
  });

  test("a kill ends a backend in the middle of a query", async () => {
    const client = new Client({ connectionString: postgres.url });
    client.on("error", () => undefined);
    await client.connect();
    const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    const endless = client.query("SELECT count(*) FROM generate_series(1, 1e12)").catch(String);

    await postgres.kill();

    // Which of the two comes first depends on what the socket still held.
    expect(await endless).toMatch(/terminated|ECONNRESET/);
    await postgres.start();
    const [row] = await query(
      postgres.url,
      `SELECT count(*)::int AS backends FROM pg_stat_activity WHERE pid = ${rows[0]?.pid}`,
    );
    expect(row).toEqual({ backends: 0 });
  });

  test("a stopped server starts again on its data, in every mode", async () => {
    for (const mode of ["smart", "fast", "immediate"] as const) {
      await postgres.stop(mode);
      expect(postgres.isRunning).toBe(false);
      await postgres.start();
      expect(await query(postgres.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    }
  });
});

describe("the shared server of the integration tests", () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  test("gives each test file an empty database, removed with its connections", async () => {
    const client = new Client({ connectionString: database.url });
    client.on("error", () => undefined);
    const cut = new Promise<void>((resolve) => {
      client.once("end", resolve);
    });
    await client.connect();
    const { rows } = await client.query("SELECT count(*)::int AS tables FROM pg_stat_user_tables");
    expect(rows).toEqual([{ tables: 0 }]);

    await database.drop();

    await cut;
    await expect(query(database.url, "SELECT 1")).rejects.toThrow("does not exist");
  });
});
