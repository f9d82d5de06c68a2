import { spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createMemoryLogger, waitFor } from "@millrace/core/testing";
import { createDeadLetters, postgres } from "@millrace/drain";
import { startPostgres } from "@millrace/services";
import { expect, it, onTestFinished } from "vitest";
import { emptyDatabase } from "../fixtures/empty-database.ts";
import { queryOnce } from "../../../../test/setup/query-once.ts";
import { temporaryFolder } from "../fixtures/running-pool.ts";
import { smallSchema } from "../fixtures/small-schema.ts";
import { countLetters, storeLetters } from "./refused-requests.ts";

it("reads come from the replica while it answers, writes never do, and the first server stands in", async () => {
  const primary = await emptyDatabase();
  const replica = await emptyDatabase();
  await storeLetters(primary, 3);
  await storeLetters(replica, 2);
  const logger = createMemoryLogger();
  const deadLetters = createDeadLetters({
    destination: postgres({ connectionString: primary.url, readConnectionString: replica.url }),
    schema: smallSchema(),
    logger,
  });
  onTestFinished(() => deadLetters.close());
  expect((await deadLetters.list()).letters).toHaveLength(2);
  expect(await deadLetters.discard({ filter: {} })).toBe(3);
  expect(await countLetters(replica)).toBe(2);
  expect((await deadLetters.list()).letters).toHaveLength(2);

  // Behind in its tables, as a standby that has not heard of them yet.
  await replica.query("ALTER TABLE millrace_dead_letters RENAME TO elsewhere");
  expect((await deadLetters.list()).letters).toHaveLength(0);
  expect(logger.lines).toMatchObject([{ level: "warn", message: expect.stringContaining("away") }]);
  expect(deadLetters.status()).toEqual({ replayed: 0, discarded: 3 });
});

it("a streaming standby answers reads, and is not asked while it is down", async () => {
  const primary = await startPostgres();
  onTestFinished(() => primary.remove());
  const url = await primary.createDatabase();
  await primary.stop();
  const folder = temporaryFolder();
  chmodSync(folder, 0o755);
  const dataDir = join(folder, "standby");
  // What pg_basebackup does, for a server that stands still.
  expect(spawnSync("cp", ["-a", primary.dataDir, dataDir]).status).toBe(0);
  writeFileSync(join(dataDir, "standby.signal"), "");
  await primary.start();
  const { username, password, port } = new URL(primary.url);
  const standby = await startPostgres({
    dataDir,
    settings: {
      primary_conninfo: `host=127.0.0.1 port=${port} user=${username} password=${decodeURIComponent(password)}`,
    },
  });
  onTestFinished(() => standby.remove());
  const replicaUrl = new URL(url);
  replicaUrl.port = String(standby.port);
  const query = <Row>(sql: string, values?: unknown[]) => queryOnce<Row>(url, sql, values);
  await storeLetters({ url, query }, 2);
  await waitFor(
    async () => {
      const rows = await queryOnce(replicaUrl.href, "SELECT FROM millrace_dead_letters");
      return rows.length === 2;
    },
    { description: "the letters on the standby" },
  );
  const logger = createMemoryLogger();
  const deadLetters = createDeadLetters({
    destination: postgres({ connectionString: url, readConnectionString: replicaUrl.href }),
    schema: smallSchema(),
    logger,
  });
  onTestFinished(() => deadLetters.close());
  expect((await deadLetters.list()).letters).toHaveLength(2);
  await primary.stop();
  expect((await deadLetters.list()).letters).toHaveLength(2);
  await primary.start();
  await standby.kill();
  expect((await deadLetters.list()).letters).toHaveLength(2);
  expect(logger.lines.map(({ level }) => level)).toEqual(["warn"]);
});
