import { once } from "node:events";
import { waitFor } from "@millrace/core/testing";
import { migrate, postgres } from "@millrace/drain";
import type { AlertChannel } from "@millrace/drain/alerts";
import type { Registry } from "prom-client";
import { expect, it } from "vitest";
import { pruneAlerts } from "../../src/alerts/prune-alerts.ts";
import { emptyDatabase } from "../fixtures/empty-database.ts";
import { connection } from "../partitions/maintained-table.ts";
import { runPool } from "../fixtures/running-pool.ts";
import { runDispatcher } from "./running-dispatcher.ts";
import { alerts, exception, issueSchema, resolve } from "./issues.ts";

it("an issue alerts when it is new and when it comes back after it was resolved, and never else", async () => {
  const database = await emptyDatabase();
  const { append, drained } = await runPool({ url: database.url }, { schema: issueSchema() });
  await append([exception("a"), exception("a", 1), exception("b")]);
  await drained();
  expect((await alerts(database)).toSorted()).toEqual(["issue.new a", "issue.new b"]);

  await append([exception("a", 2)]);
  await drained();
  await resolve(database, "a");
  // Seen before it was resolved, and late.
  await append([exception("a", 3)]);
  await drained();
  expect(await alerts(database)).toHaveLength(2);

  await append([exception("a", 2_000), exception("a", 2_001)]);
  await drained();
  await append([exception("a", 2_002)]);
  await drained();
  expect((await alerts(database)).slice(2)).toEqual(["issue.reopened a"]);
  expect(
    await database.query(
      "SELECT status, resolved_at, occurrences::int FROM nightwatch_issues WHERE fingerprint = 'a'",
    ),
  ).toEqual([{ status: "open", resolved_at: null, occurrences: 7 }]);

  await database.query("UPDATE nightwatch_issues SET status = 'ignored'");
  await append([exception("a", 2_003), exception("b", 2_003)]);
  await drained();
  expect(await alerts(database)).toHaveLength(3);
  const [subject] = await database.query<{ subject: object }>(
    "SELECT subject FROM millrace_alerts WHERE kind = 'issue.reopened'",
  );
  expect(subject?.subject).toMatchObject({
    class: "App\\Broken",
    occurrences: 6,
    token: "default",
  });
  expect(subject?.subject).not.toHaveProperty("alerted_in");
});

it("a batch that is searched for refused rows alerts once of each issue that lands, and of no other", async () => {
  const database = await emptyDatabase();
  const schema = issueSchema();
  await migrate({ destination: postgres({ connectionString: database.url }), schema });
  await database.query("ALTER TABLE nightwatch_exceptions ADD CHECK (line <> 13)");
  const { append, drained, pool } = await runPool({ url: database.url }, { schema });
  const issues = Array.from({ length: 40 }, (_, index) => `issue-${index % 8}`);
  await append(
    issues.map((issue, index) => exception(issue, index, index % 8 === 3 ? { line: 13 } : {})),
  );
  await drained();
  expect(pool.status().deadLetters).toBe(5);
  expect((await alerts(database)).toSorted()).toEqual(
    [0, 1, 2, 4, 5, 6, 7].map((index) => `issue.new issue-${index}`),
  );
});

it("issues of a table that gains alerts later are not news", async () => {
  const database = await emptyDatabase();
  const schema = issueSchema();
  const without = {
    ...schema,
    upserts: schema.upserts.map(({ alerts: _alerts, ...upsert }) => upsert),
  };
  const before = await runPool({ url: database.url }, { schema: without });
  await before.append([exception("old")]);
  await before.drained();
  await before.pool.close();
  const after = await runPool({ url: database.url }, { schema });
  await after.append([exception("old", 1), exception("young")]);
  await after.drained();
  expect(await alerts(database)).toEqual(["issue.new young"]);
});

it("an outbox that nobody empties stays bounded", async () => {
  const database = await emptyDatabase();
  const destination = postgres({ connectionString: database.url });
  await migrate({ destination, schema: issueSchema() });
  await database.query(
    `INSERT INTO millrace_alerts (kind, source, subject_key, subject, created_at)
     SELECT 'issue.new', 'nightwatch_issues', 'key', '{}', now() - age * interval '1 day'
     FROM unnest('{8, 8, 6, 0}'::int[]) AS age`,
  );
  const client = await connection(database.url);
  expect(await pruneAlerts(client)).toEqual({ deleted: 2, unsent: 2 });
  expect(await pruneAlerts(client)).toEqual({ deleted: 0, unsent: 0 });
  await database.query("ALTER TABLE millrace_alerts ALTER id RESTART WITH 100004");
  await database.query(
    "INSERT INTO millrace_alerts (kind, source, subject_key, subject) VALUES ('issue.new', 's', 'k', '{}')",
  );
  expect(await pruneAlerts(client)).toEqual({ deleted: 2, unsent: 2 });
});

it("alerts that are pruned before every channel has sent them are counted, by a drain and by a dispatcher", async () => {
  const database = await emptyDatabase();
  const schema = issueSchema();
  await migrate({ destination: postgres({ connectionString: database.url }), schema });
  /** One that was sent, one that only one of two channels has sent, one that nobody has looked at. */
  const writeOld = () =>
    database.query(
      `WITH old AS (
         INSERT INTO millrace_alerts (kind, source, subject_key, subject, created_at, queued_at)
         SELECT 'issue.new', 'nightwatch_issues', kind, '{}', now() - interval '8 days',
           CASE kind WHEN 'new' THEN NULL ELSE now() END
         FROM unnest('{sent, half, new}'::text[]) AS kind RETURNING id, subject_key
       )
       INSERT INTO millrace_alert_deliveries (alert_id, channel, settled_at)
       SELECT id, channel, CASE WHEN subject_key = 'sent' OR channel = 'a' THEN now() END
       FROM old CROSS JOIN unnest('{a, b}'::text[]) AS channel WHERE subject_key <> 'new'`,
    );
  const unsent = async (metrics: Registry) =>
    /^millrace_alerts_pruned_unsent_total (\d+)$/m.exec(await metrics.metrics())?.[1];

  await writeOld();
  const { pool, metrics } = await runPool({ url: database.url }, { schema });
  await waitFor(async () => (await unsent(metrics)) === "2");
  await pool.close();

  await writeOld();
  const hangs: AlertChannel = {
    name: "b",
    send: (_message, signal) => once(signal, "abort").then(() => signal.throwIfAborted()),
  };
  const dispatching = await runDispatcher(database.url, [hangs]);
  await waitFor(async () => (await unsent(dispatching.metrics)) === "2");
});
