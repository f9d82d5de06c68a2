import { startPgBouncer, startPostgres } from "@millrace/services";
import { expect, it, onTestFinished } from "vitest";
import { countRequests } from "../fixtures/empty-database.ts";
import { queryOnce } from "../../../../test/setup/query-once.ts";
import { countLetters, openDeadLetters, storeLetters } from "./refused-requests.ts";

it("dead letters are listed, replayed and discarded through PgBouncer in transaction mode", async () => {
  const server = await startPostgres();
  onTestFinished(() => server.remove());
  const pooler = await startPgBouncer({ upstream: server, poolMode: "transaction", poolSize: 1 });
  onTestFinished(() => pooler.remove());
  const url = await server.createDatabase();
  const database = {
    url,
    query: <Row = Record<string, unknown>>(sql: string, values?: unknown[]) =>
      queryOnce<Row>(url, sql, values),
  };
  await storeLetters(database, 700);
  const letters = openDeadLetters(pooler.url(new URL(url).pathname.slice(1)));
  expect((await letters.list({ limit: 1 })).letters).toHaveLength(1);
  expect(await letters.discard({ ids: [700] })).toBe(1);
  expect(await letters.replay({ filter: {} })).toMatchObject({ replayed: 699 });
  expect(await countLetters(database)).toBe(0);
  expect(await countRequests(database)).toEqual({ rows: 699, distinct: 699, counted: 699 });
});
