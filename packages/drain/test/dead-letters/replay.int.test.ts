import { gzipSync } from "node:zlib";
import { migrate, postgres } from "@millrace/drain";
import { Client } from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { countRequests, deadLetters, emptyDatabase } from "../fixtures/empty-database.ts";
import { type Fault, startFaultyProxy } from "../fixtures/faulty-proxy.ts";
import { runPool } from "../fixtures/running-pool.ts";
import { smallSchema } from "../fixtures/small-schema.ts";
import { log, numbers, request } from "../fixtures/telemetry.ts";
import {
  countLetters,
  landedRequests,
  openDeadLetters,
  refusedRequests,
  storedLetters,
  takeRequests,
} from "./refused-requests.ts";

describe("replaying dead letters", () => {
  it("lands every record once, as it would have landed, when its table takes it again", async () => {
    const { database, running } = await refusedRequests(600);
    const [before] = await database.query<{ received_at: Date }>(
      "SELECT DISTINCT received_at FROM millrace_dead_letters",
    );
    expect(await countLetters(database)).toBe(600);
    await takeRequests(database);
    const filter = { destination: "nightwatch_requests" };
    expect(await running.pool.deadLetters.replay({ filter })).toEqual({
      replayed: 600,
      stillDead: 0,
      byReason: {},
    });
    expect(await countLetters(database)).toBe(0);
    expect(await countRequests(database)).toEqual({ rows: 600, distinct: 600, counted: 600 });
    const landed = await landedRequests(database);
    expect(landed.map((row) => row["received_at"])).toEqual(landed.map(() => before?.received_at));

    const other = await emptyDatabase();
    const straight = await runPool({ url: other.url });
    await straight.append(numbers(600).map((index) => request(index)));
    await straight.drained();
    const expected = await landedRequests(other);
    const withoutMoment = ({ received_at: _receivedAt, ...row }: Record<string, unknown>) => row;
    expect(landed.map(withoutMoment)).toEqual(expected.map(withoutMoment));
  });

  it("twice at once lands them once", async () => {
    const database = await storedLetters(1_500);
    const handles = [openDeadLetters(database.url), openDeadLetters(database.url)];
    const results = await Promise.all(handles.map((handle) => handle.replay({ filter: {} })));
    expect(results.reduce((sum, { replayed }) => sum + replayed, 0)).toBe(1_500);
    expect(await countLetters(database)).toBe(0);
    expect(await countRequests(database)).toEqual({ rows: 1_500, distinct: 1_500, counted: 1_500 });
  });

  it("of one that still cannot land keeps it, with its new reason and what was tried", async () => {
    const database = await storedLetters(3);
    await database.query(
      "ALTER TABLE nightwatch_requests ADD CONSTRAINT short CHECK (duration_us <> 1001)",
    );
    const letters = openDeadLetters(database.url);
    const first = { replayed: 2, stillDead: 1, byReason: { sqlstate_23514: 1 } };
    expect(await letters.replay({ filter: {} })).toEqual(first);
    expect(await letters.replay({ filter: {} })).toEqual({ ...first, replayed: 0 });
    const page = await letters.list();
    expect(page.letters).toMatchObject([
      { attempts: 2, lastTriedAt: expect.any(Date), recordIndex: 1, code: "sqlstate_23514" },
    ]);
    expect(page.letters[0]?.reason).toContain('"short"');
    expect(await countRequests(database)).toMatchObject({ rows: 2, counted: 2 });
  });

  it.each<[string, Fault]>([
    ["before the second COPY arrives", "cut-before"],
    ["behind the second COPY", "cut-behind"],
    ["after the second COPY was answered", "cut-after-answer"],
  ])("that loses its connection %s has landed nothing twice", async (_when, fault) => {
    const database = await storedLetters(1_100);
    const proxy = await startFaultyProxy(database.url);
    const letters = openDeadLetters(proxy.url);
    let copies = 0;
    proxy.rule = ({ text }) =>
      text.startsWith('COPY "nightwatch_requests"') && ++copies === 2 ? fault : "pass";
    const cut = letters.replay({ filter: {} });
    await expect(cut).rejects.toMatchObject({
      code: "DRAIN_DEAD_LETTERS_FAILED",
      retryable: true,
      details: { replayed: 500 },
    });
    // Until the server has noticed, its locks make letters be left out: by the second try they are free.
    await expect
      .poll(async () => (await letters.replay({ filter: {} })) && countLetters(database))
      .toBe(0);
    expect(await countRequests(database)).toEqual({ rows: 1_100, distinct: 1_100, counted: 1_100 });
  });

  it.each<Fault>(["cut-before", "cut-behind", "cut-after-answer"])(
    "whose COMMIT meets %s has landed it or not, never both",
    async (fault) => {
      const database = await storedLetters(300);
      const proxy = await startFaultyProxy(database.url);
      const letters = openDeadLetters(proxy.url);
      let isLanding = false;
      proxy.rule = ({ text }) => {
        if (text.startsWith('COPY "nightwatch_requests"')) isLanding = true;
        if (!isLanding || text !== "COMMIT") return "pass";
        isLanding = false;
        proxy.rule = () => "pass";
        return fault;
      };
      await expect(letters.replay({ filter: {} })).rejects.toMatchObject({
        code: "DRAIN_DEAD_LETTERS_FAILED",
      });
      await expect
        .poll(async () => (await letters.replay({ filter: {} })) && countLetters(database))
        .toBe(0);
      expect(await countRequests(database)).toEqual({ rows: 300, distinct: 300, counted: 300 });
    },
  );

  it("decodes whole payloads again, and leaves letters of the records that cannot land", async () => {
    const database = await emptyDatabase();
    const { append, drained } = await runPool({ url: database.url }, { maxInflatedBytes: 2_000 });
    const records = [
      ...numbers(30).map((index) => request(index)),
      log("fine"),
      log({ not: "text" }, { timestamp: "never" }),
    ];
    await append(gzipSync(JSON.stringify(records)));
    await append(Buffer.from("no JSON"));
    await drained();
    expect((await deadLetters(database)).map(({ code }) => code)).toEqual([
      "inflates_too_large",
      "json_invalid",
    ]);
    const letters = openDeadLetters(database.url);
    expect(await letters.replay({ filter: {} })).toEqual({
      replayed: 1,
      stillDead: 2,
      byReason: { record_invalid: 1, json_invalid: 1 },
    });
    expect(await countRequests(database)).toEqual({ rows: 30, distinct: 30, counted: 30 });
    const page = await letters.list({ includeContent: true });
    expect(page.letters).toMatchObject([
      { code: "record_invalid", recordIndex: 31, payloadId: 1, attempts: 1 },
      { code: "json_invalid", recordIndex: undefined, attempts: 1 },
    ]);
    expect(page.letters.map(({ content }) => content?.toString())).toEqual([
      JSON.stringify(records[31]),
      "no JSON",
    ]);
  });

  it("by ids takes those and no others", async () => {
    const database = await storedLetters(5);
    const letters = openDeadLetters(database.url);
    expect(await letters.replay({ ids: [2, 4] })).toMatchObject({ replayed: 2 });
    const { letters: left } = await letters.list();
    expect(left.map(({ id }) => id)).toEqual([5, 3, 1]);
    expect(await letters.replay({ ids: [2, 4] })).toMatchObject({ replayed: 0 });
  });

  it("leaves payloads that killed workers to those who name them", async () => {
    const database = await storedLetters(2);
    await database.query(
      "UPDATE millrace_dead_letters SET code = 'kills_worker' WHERE record_index = 0",
    );
    const letters = openDeadLetters(database.url);
    expect(await letters.replay({ filter: {} })).toMatchObject({ replayed: 1 });
    expect(await letters.replay({ filter: { code: "kills_worker" } })).toMatchObject({
      replayed: 1,
    });
  });

  it("that the pool's close cuts is rolled back and says so", async () => {
    const database = await storedLetters(20);
    const { pool } = await runPool({ url: database.url });
    const other = new Client({ connectionString: database.url });
    await other.connect();
    onTestFinished(() => other.end());
    await other.query("BEGIN; LOCK TABLE nightwatch_requests");
    const replay = pool.deadLetters.replay({ filter: {} });
    const outcome = replay.catch((error: unknown) => error);
    await expect
      .poll(() => database.query("SELECT 1 FROM pg_locks WHERE NOT granted"))
      .not.toHaveLength(0);
    await pool.close();
    expect(await outcome).toMatchObject({ code: "ILLEGAL_STATE" });
    await other.query("ROLLBACK");
    expect(await countLetters(database)).toBe(20);
    expect(await countRequests(database)).toMatchObject({ rows: 0 });
  });

  it("lands nothing whose letter it cannot delete", async () => {
    const database = await storedLetters(3);
    await database.query(
      "CREATE RULE keep AS ON DELETE TO millrace_dead_letters DO INSTEAD NOTHING",
    );
    await expect(openDeadLetters(database.url).replay({ filter: {} })).rejects.toMatchObject({
      code: "DRAIN_DEAD_LETTERS_FAILED",
    });
    expect(await countRequests(database)).toMatchObject({ rows: 0 });
    expect(await countLetters(database)).toBe(3);
  });

  it("works on a pool that was never started", async () => {
    const database = await storedLetters(1);
    const { pool } = await runPool({ url: database.url, isIdle: true });
    expect(await pool.deadLetters.replay({ filter: {} })).toMatchObject({ replayed: 1 });
    await pool.deadLetters.close();
  });

  it("refuses a selection that names nothing, or two things", async () => {
    const letters = openDeadLetters("postgres://nobody@127.0.0.1:1/none");
    for (const selection of [{}, { ids: [1], filter: {} }]) {
      await expect(letters.replay(selection as never)).rejects.toMatchObject({
        code: "CONFIG_INVALID",
      });
    }
  });

  it("upgrades a table of letters from before they could be replayed", async () => {
    const database = await emptyDatabase();
    const destination = postgres({ connectionString: database.url });
    await migrate({ destination, schema: smallSchema() });
    await database.query(
      "ALTER TABLE millrace_dead_letters DROP COLUMN attempts, DROP COLUMN last_tried_at",
    );
    await database.query("DELETE FROM millrace_migrations");
    expect((await openDeadLetters(database.url).list()).letters).toEqual([]);
  });
});
