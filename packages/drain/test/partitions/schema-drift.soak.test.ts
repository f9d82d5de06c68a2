import { waitFor } from "@millrace/core/testing";
import { describe, expect, it } from "vitest";
import { deadLetters, emptyDatabase } from "../fixtures/empty-database.ts";
import { runPool } from "../fixtures/running-pool.ts";
import { rowsByPartition, ticks } from "./maintained-table.ts";

const NOW = Date.now() / 1_000;
const TODAY = `p${new Date().toISOString().slice(0, 10).replaceAll("-", "")}`;

function tick(number: unknown) {
  return { t: "tick", timestamp: NOW, number };
}

async function driftingPool() {
  const database = await emptyDatabase();
  const running = await runPool({ url: database.url }, { schema: [ticks()] });
  await running.append([tick(1)]);
  await running.drained();
  return {
    ...running,
    database,
    numbers: async () => {
      const rows = await database.query<{ number: unknown }>(
        "SELECT number FROM ticks ORDER BY number NULLS FIRST",
      );
      return rows.map(({ number }) => number);
    },
    letters: async () => {
      const letters = await deadLetters(database);
      return letters.map(({ code, content }) => {
        const { number } = JSON.parse(content.toString()) as { number: unknown };
        return { code, number };
      });
    },
  };
}

describe("a partitioned table whose", () => {
  it("column somebody drops gets it again, empty", async () => {
    const { append, drained, database, numbers, letters, pool } = await driftingPool();
    await database.query("ALTER TABLE ticks DROP COLUMN number");
    await append([tick(2)]);
    await drained();
    expect(await numbers()).toEqual([null, 2]);
    expect(await letters()).toEqual([]);
    expect(pool.status()).toMatchObject({ workerDeaths: 0, retriesByReason: { schema: 1 } });
  });

  it("column somebody makes narrower takes what fits, and the rest becomes dead letters", async () => {
    const { append, drained, database, numbers, letters, pool } = await driftingPool();
    await database.query("ALTER TABLE ticks ALTER COLUMN number TYPE smallint");
    await append([tick(2), tick(40_000), tick(3)], [tick(50_000)], [tick(4)]);
    await drained();
    expect(await numbers()).toEqual([1, 2, 3, 4]);
    expect(await letters()).toEqual([
      { code: "sqlstate_22003", number: 40_000 },
      { code: "sqlstate_22003", number: 50_000 },
    ]);
    expect(pool.status()).toMatchObject({ workerDeaths: 0, retriesByReason: { data: 1 } });
  });

  it("column somebody makes text takes everything as text", async () => {
    const { append, drained, database, numbers, letters, pool } = await driftingPool();
    await database.query("ALTER TABLE ticks ALTER COLUMN number TYPE text");
    await append([tick(2)]);
    await drained();
    expect(await numbers()).toEqual(["1", "2"]);
    expect(await letters()).toEqual([]);
    expect(pool.status()).toMatchObject({ workerDeaths: 0, retriesByReason: {} });
  });

  it("columns somebody adds one to that must not be NULL makes dead letters, which land once it is gone", async () => {
    const { append, drained, database, numbers, letters, pool } = await driftingPool();
    await database.query("TRUNCATE ticks");
    await database.query("ALTER TABLE ticks ADD COLUMN tenant text NOT NULL");
    await append([tick(2), tick(3)]);
    await drained();
    expect(await numbers()).toEqual([]);
    expect(await letters()).toEqual([
      { code: "sqlstate_23502", number: 2 },
      { code: "sqlstate_23502", number: 3 },
    ]);
    await database.query("ALTER TABLE ticks ALTER COLUMN tenant DROP NOT NULL");
    const contents = (await deadLetters(database)).map(({ content }) => content.toString());
    await append(Buffer.from(`[${contents.join(",")}]`));
    await drained();
    expect(await numbers()).toEqual([2, 3]);
    expect(pool.status()).toMatchObject({ workerDeaths: 0 });
  });

  it("partition of today somebody drops takes today's rows in the default one", async () => {
    const { append, drained, database, letters, pool } = await driftingPool();
    await database.query(`DROP TABLE ticks_${TODAY}`);
    await append([tick(2)]);
    await drained();
    expect(await rowsByPartition(database)).toMatchObject({ default: 1 });
    expect(await letters()).toEqual([]);
    expect(pool.status()).toMatchObject({ workerDeaths: 0, retriesByReason: {} });
  });

  it("whole self somebody drops is made again, with its partitions, and no row stays in the default one", async () => {
    const { append, drained, database, letters, pool } = await driftingPool();
    await database.query("DROP TABLE ticks");
    await append([tick(2)]);
    await drained();
    await waitFor(() => pool.status().partitions.partitionsCreated === 8);
    expect(await rowsByPartition(database)).toMatchObject({ default: 0, [TODAY]: 1 });
    expect(await letters()).toEqual([]);
    expect(pool.status()).toMatchObject({ workerDeaths: 0, retriesByReason: { schema: 1 } });
  });
});
