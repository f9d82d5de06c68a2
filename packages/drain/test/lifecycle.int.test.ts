import { waitFor } from "@millrace/core/testing";
import { createDrainPool, defineTable, postgres, text, timestamptz } from "@millrace/drain";
import { describe, expect, it } from "vitest";
import { countRequests, emptyDatabase } from "./fixtures/empty-database.ts";
import { runPool } from "./fixtures/running-pool.ts";
import { numbers, request } from "./fixtures/telemetry.ts";

describe("a drain pool", () => {
  it("walks every state, starts once, closes once, and leaves nothing behind", async () => {
    const database = await emptyDatabase();
    const { pool, append, metrics, buffer } = await runPool(
      { url: database.url, isIdle: true },
      { workers: 2 },
    );
    const metricsBefore = metrics.getMetricsAsArray().length;
    expect(pool.state).toBe("idle");
    const starting = pool.start();
    expect(pool.state).toBe("starting");
    await starting;
    expect(pool.state).toBe("running");
    await expect(pool.start()).rejects.toMatchObject({ code: "ILLEGAL_STATE" });
    expect(await sessions(database)).toBe(2);

    await append([request(1)]);
    const closing = pool.close();
    expect(pool.state).toBe("draining");
    expect(pool.close()).toBe(closing);
    await closing;
    expect(pool.state).toBe("closed");
    expect(await pool.closed).toBeUndefined();
    await expect(pool.start()).rejects.toMatchObject({ code: "ILLEGAL_STATE" });
    await waitFor(async () => (await sessions(database)) === 0);
    expect(metrics.getMetricsAsArray()).toHaveLength(metricsBefore);
    expect(buffer.status().rows).toBe(0);
    expect(await countRequests(database)).toMatchObject({ rows: 1 });
  });

  it("drains everything that is buffered before it closes", async () => {
    const database = await emptyDatabase();
    const { pool, append, synced } = await runPool(
      { url: database.url },
      { workers: 2, batchRows: 100, batchWaitMs: 60_000 },
    );
    await append(...numbers(2_050).map((index) => [request(index)]));
    await pool.close();
    expect(synced()).toEqual({});
    expect(await countRequests(database)).toEqual({ rows: 2_050, distinct: 2_050, counted: 2_050 });
  });

  it("keeps what did not land within its grace, for the next start", async () => {
    const database = await emptyDatabase();
    const { pool, append, buffer, path } = await runPool({ url: database.url });
    await database.query(
      `CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$`,
    );
    await database.query(
      "CREATE TRIGGER dawdle AFTER INSERT ON nightwatch_requests FOR EACH STATEMENT EXECUTE FUNCTION dawdle()",
    );
    await append([request(1)], [request(2)]);
    await waitFor(() => pool.status().workers[0]?.phase === "landing");
    await pool.close({ graceMs: 100 });
    expect(buffer.status().rows).toBe(2);
    expect(pool.status().workerDeaths).toBe(0);
    await buffer.close();

    await database.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'millrace-drain' AND datname = current_database()",
    );
    await database.query("DROP TRIGGER dawdle ON nightwatch_requests");
    const next = await runPool({ url: database.url, path });
    await next.drained();
    expect(await countRequests(database)).toEqual({ rows: 2, distinct: 2, counted: 2 });
  });

  it("that is closed while it starts undoes what it opened", async () => {
    const { pool } = await runPool({
      // A documentation address: nobody answers, nobody refuses.
      url: "postgres://app@192.0.2.1:5432/telemetry",
      isIdle: true,
    });
    const starting = pool.start();
    await pool.close();
    await expect(starting).rejects.toMatchObject({ code: "START_ABORTED" });
    expect(pool.state).toBe("closed");
  });

  it("refuses to run when a thread cannot run at all, and says why", async () => {
    const { url } = await emptyDatabase();
    const { buffer } = await runPool({ url, isIdle: true });
    const pool = createDrainPool({
      buffer,
      destination: postgres({ connectionString: url }),
      schema: {
        tables: [{ name: "Bad Name", match: { t: "x" }, columns: {}, indexes: [] }],
        upserts: [],
      },
    });
    await expect(pool.start()).rejects.toMatchObject({
      code: "DRAIN_WORKER_FAILED",
      message: expect.stringContaining("Bad Name") as string,
    });
    expect(pool.state).toBe("failed");
  });

  it("lands in tables of one's own, and tells listeners", async () => {
    const database = await emptyDatabase();
    const views = defineTable("page_views", {
      match: { t: "page-view" },
      columns: { viewed_at: timestamptz("timestamp", { required: true }), url: text("url") },
    });
    const { pool, append, drained } = await runPool({ url: database.url }, { schema: [views] });
    const landed: unknown[] = [];
    pool.on("batch:landed", (event) => landed.push(event));
    await append([
      { t: "page-view", timestamp: 1_767_225_600.25, url: "/", campaign: "spring" },
      7,
    ]);
    await drained();
    await waitFor(() => landed.length === 1);
    expect(landed).toEqual([
      { worker: 0, payloads: 1, deadLetters: 1, seconds: expect.any(Number) as number },
    ]);
    expect(
      await database.query("SELECT viewed_at, url, token, unknown_fields FROM page_views"),
    ).toEqual([
      {
        viewed_at: new Date("2026-01-01T00:00:00.250Z"),
        url: "/",
        token: "default",
        unknown_fields: { campaign: "spring" },
      },
    ]);
  });
});

async function sessions({ query }: Awaited<ReturnType<typeof emptyDatabase>>): Promise<number> {
  const [row] = await query<{ sessions: number }>(
    "SELECT count(*)::int AS sessions FROM pg_stat_activity WHERE application_name = 'millrace-drain' AND datname = current_database()",
  );
  return row?.sessions ?? -1;
}
