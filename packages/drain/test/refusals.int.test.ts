import { migrate, postgres } from "@millrace/drain";
import { describe, expect, it } from "vitest";
import { countRequests, deadLetters, emptyDatabase } from "./fixtures/empty-database.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { smallSchema } from "./fixtures/small-schema.ts";
import { numbers, request } from "./fixtures/telemetry.ts";

const REFUSE_BAD_URLS =
  "ALTER TABLE nightwatch_requests ADD CONSTRAINT no_bad CHECK (url <> 'bad')";

describe("rows that the server refuses", () => {
  it.each([
    { total: 500, bad: [] as number[] },
    { total: 500, bad: [177] },
    { total: 20_000, bad: [0, 5_000, 5_001, 19_999] },
    { total: 200, bad: numbers(200) },
  ])(
    "$bad.length of $total: exactly they are dead letters, the rest lands",
    async ({ total, bad }) => {
      const database = await emptyDatabase();
      const isBad = new Set(bad);
      await migrate({
        destination: postgres({ connectionString: database.url }),
        schema: smallSchema(),
      });
      await database.query(REFUSE_BAD_URLS);
      const { append, drained, pool } = await runPool(
        { url: database.url, isIdle: true },
        { batchRows: 100_000 },
      );
      for (const start of numbers(total / 100)) {
        await append(
          numbers(100, start * 100).map((index) =>
            request(index, isBad.has(index) ? { url: "bad" } : {}),
          ),
        );
      }
      await pool.start();
      await drained();
      const left = total - bad.length;
      expect(await countRequests(database)).toEqual({ rows: left, distinct: left, counted: left });
      const letters = await deadLetters(database);
      expect(letters.map(({ content }) => content.toString())).toEqual(
        bad.map((index) => JSON.stringify(request(index, { url: "bad" }))),
      );
      expect(new Set(letters.map(({ code }) => code))).toEqual(
        new Set(bad.length > 0 ? ["sqlstate_23514"] : []),
      );
      expect(pool.status().retriesByReason).toEqual(bad.length > 0 ? { data: 1 } : {});
    },
  );

  it.each([
    [
      "a constraint that speaks at COMMIT",
      "23505",
      [
        "ALTER TABLE nightwatch_requests ADD UNIQUE (url, occurred_at) DEFERRABLE INITIALLY DEFERRED",
      ],
    ],
    [
      "a trigger that raises an exception",
      "P0001",
      [
        `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.url = 'bad' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$`,
        "CREATE TRIGGER refuse BEFORE INSERT ON nightwatch_requests FOR EACH ROW EXECUTE FUNCTION refuse()",
      ],
    ],
    [
      "a trigger that runs after the statement, with a code of its own",
      "SHOP1",
      [
        `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.url = 'bad' THEN RAISE 'connection refused' USING ERRCODE = 'SHOP1'; END IF; RETURN NULL; END $$`,
        `CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON nightwatch_requests
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`,
      ],
    ],
    [
      "a constraint on a table that records are merged into",
      "23514",
      ["ALTER TABLE nightwatch_user_counters ADD CHECK (user_id <> 'nobody')"],
    ],
  ])("by %s are found all the same", async (_what, code, statements) => {
    const database = await emptyDatabase();
    const { append, drained } = await runPool({ url: database.url }, { batchRows: 1_000 });
    for (const statement of statements) await database.query(statement);
    const bad = { url: "bad", user: "nobody", timestamp: 1_767_225_600.5 };
    // The unique constraint takes the first of the two.
    const refused = code === "23505" ? [17] : [3, 17];
    await append(
      ...numbers(30).map((index) => [request(index, index === 3 || index === 17 ? bad : {})]),
    );
    await drained();
    const letters = await deadLetters(database);
    expect(letters.map((letter) => letter.code)).toEqual(refused.map(() => `sqlstate_${code}`));
    expect(
      letters.map(({ content }) => /"trace_id":"([^"]+)"/.exec(content.toString())?.[1]),
    ).toEqual(refused.map((index) => `trace-${index}`));
    const left = 30 - refused.length;
    expect(await countRequests(database)).toEqual({ rows: left, distinct: left, counted: left });
  });

  it("that take longer in all than batchTimeoutMs are no wedge", async () => {
    const database = await emptyDatabase();
    const { append, drained, pool } = await runPool({
      url: database.url,
      destination: { batchTimeoutMs: 600 },
    });
    await database.query(
      `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF NEW.url <> 'bad' THEN RETURN NEW; END IF;
          PERFORM pg_sleep(0.1);
          RAISE EXCEPTION 'no';
        END $$`,
    );
    await database.query(
      "CREATE TRIGGER refuse BEFORE INSERT ON nightwatch_requests FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    await append(
      numbers(8).map((index) => request(index, { url: "bad" })),
      [request(100)],
    );
    await drained();
    expect(await deadLetters(database)).toHaveLength(8);
    expect(await countRequests(database)).toMatchObject({ rows: 1 });
    expect(pool.status().retriesByReason).toEqual({ data: 1 });
  });
});
